"""Does another dictionary seed find the same latents?

    match_j = max_k cosine(d_j, d'_k)         over the other dictionary's latents; d: directions of all models, joined
    MMCS = mean_j match_j                     share = mean_j [match_j >= .7]

A match is one-sided and may be shared by several latents. `chance` is what random directions score, the same in all
models: it grows with the number of latents and falls with the width. Latents without a direction are left out.
Memory: one block of cosines.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probe.dictionaries.audits.controls import Address, random_decoder
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.pair import model_number
from probe.errors import BadInput

MATCHED = 0.7
BLOCK = 1024  # latents at a time

Vectors = Float[Tensor, "latent d"]


@dataclass(frozen=True, eq=False)
class Matches:
    """Best cosine of each latent, the latent of the other dictionary that has it, and what chance gives on average."""

    cosine: Float[Tensor, "latent"]
    partner: Int[Tensor, "latent"]
    chance: float

    @property
    def mean(self) -> float:
        """Mean max cosine similarity."""
        return float(self.cosine.nanmean())

    def share(self, least: float = MATCHED) -> float:
        """Of latents that are matched at least so well."""
        known = self.cosine[self.cosine.isfinite()]
        return float((known >= least).double().mean())


def matches(
    one: Dictionary,
    other: Dictionary,
    address: Address,
    model: str | None = None,
    live: Bool[Tensor, "latent"] | None = None,
) -> Matches:
    """Of each latent of `one` (nan where not `live`), by one model's directions (None: all models' joined).

    `address` is that of the random directions of `chance`. BadInput for other models or another width.
    """
    if one.models != other.models or one.d != other.d:
        what = f"{one.models} of width {one.d} and {other.models} of width {other.d}"
        raise BadInput(what, where="stability", do="compare seeds of one dictionary")
    mine, theirs = (_vectors(each, model) for each in (one, other))
    cosine, partner = best_cosines(mine, theirs)
    if live is not None:
        cosine = torch.where(live.to(cosine.device), cosine, torch.nan)
    drawn = _vectors(random_decoder(other, *address, "chance"), model)
    return Matches(cosine, partner, float(best_cosines(mine, drawn)[0].nanmean()))


def best_cosines(
    mine: Vectors, theirs: Float[Tensor, "other d"]
) -> tuple[Float[Tensor, "latent"], Int[Tensor, "latent"]]:
    """The largest cosine of each of `mine` with any of `theirs`, and with which; nan for one of length 0."""
    target = torch.nn.functional.normalize(theirs, dim=-1)
    found = [(block @ target.T).max(-1) for block in mine.split(BLOCK)]
    best, partner = torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])
    length = mine.norm(dim=-1)
    return torch.where(length > 0, best / length, torch.nan), partner


def _vectors(dictionary: Dictionary, model: str | None) -> Vectors:
    if model is None:
        return dictionary.W_dec.flatten(1)
    return dictionary.W_dec[:, model_number(dictionary, model)]
