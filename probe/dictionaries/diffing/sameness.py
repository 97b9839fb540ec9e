"""Does a shared latent do the same in both models: is it asked for by the same rows, does it push the same tokens?

    asked_mj = z_m . W_enc[m, :, j]             what model m alone asks of latent j
    corr_j   = correlation over rows of asked_before and asked_after
    effect_m = U_m direction_mj, less its mean over the vocabulary                                            [vocab]
    cos_j    = cosine(effect_before, effect_after)

U_m is model m's unembedding, the gain of its final norm folded in: the direct path only, what blocks above the site do
with the direction is left out. nan where one side asks for nothing, or writes nothing. Sums are streamed, in double.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.pair import AFTER, BEFORE, Batch, check_pair, directions
from probe.errors import BadInput

BLOCK = 256  # latents at a time: a [latent vocab] block of effects is all that is held
Unembedding = Float[Tensor, "vocab d"]


def asked_correlation(dictionary: Dictionary, batches: Iterable[Batch]) -> Float[Tensor, "latent"]:
    """Correlation of what the two models ask of each latent, over all rows of paired text. BadInput without rows."""
    n, sums = 0, torch.zeros(5, check_pair(dictionary).n_latents, dtype=torch.float64)
    for x in batches:
        z = dictionary.inner(x)
        b, a = (torch.einsum("rd,dn->rn", z[:, m], dictionary.W_enc[m]).double() for m in (BEFORE, AFTER))
        sums += torch.stack([each.sum(0) for each in (b, a, b * b, a * a, b * a)])
        n += len(x)
    if n < 2:
        raise BadInput(f"{n} rows", where=dictionary.where, do="give two or more")
    b, a, bb, aa, ba = sums / n
    spread = (bb - b * b).clamp(min=0).sqrt() * (aa - a * a).clamp(min=0).sqrt()
    floor = 1e-12 * (bb * aa).sqrt()  # below it, what is left is rounding
    return torch.where(spread > floor, (ba - b * a) / spread, torch.nan).clamp(-1, 1)


def logit_effects(unembedding: Unembedding, towards: Float[Tensor, "latent d"]) -> Float[Tensor, "latent vocab"]:
    """What one unit of each latent adds to the logits by the direct path, centred: softmax does not see the mean."""
    if unembedding.ndim != 2 or unembedding.shape[1] != towards.shape[1]:
        what = f"an unembedding of {tuple(unembedding.shape)} for directions of {tuple(towards.shape)}"
        raise BadInput(what, where="logit_effects", do="give [vocab d_model], of a dictionary of the residual stream")
    effect = towards @ unembedding.to(towards).T
    return effect - effect.mean(-1, keepdim=True)


def effect_cosine(dictionary: Dictionary, unembeddings: Sequence[Unembedding]) -> Float[Tensor, "latent"]:
    """Cosine of each latent's effects on the logits of the two models, whose vocabularies must be one."""
    if len(unembeddings) != 2 or len(unembeddings[0]) != len(unembeddings[1]):
        raise BadInput("two vocabularies", where="effect_cosine", do="give two unembeddings with the same tokens")
    return torch.cat([_cosine(b, a) for b, a in _effects(check_pair(dictionary), unembeddings)])


def _cosine(one: Tensor, other: Tensor) -> Float[Tensor, "latent"]:
    """nan where one of the two is 0."""
    there = (one.norm(dim=-1) > 0) & (other.norm(dim=-1) > 0)
    return torch.where(there, torch.cosine_similarity(one, other, dim=-1), torch.nan)


def _effects(dictionary: Dictionary, unembeddings: Sequence[Unembedding]) -> Iterator[tuple[Tensor, Tensor]]:
    before, after = (directions(dictionary, model).split(BLOCK) for model in dictionary.models)
    for b, a in zip(before, after, strict=True):
        yield logit_effects(unembeddings[0], b), logit_effects(unembeddings[1], a)
