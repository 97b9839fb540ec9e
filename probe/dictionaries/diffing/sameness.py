"""Does a shared latent do the same in both models: is it asked for by the same rows, does it push the same tokens?

    asked_mj = z_m . W_enc[m, :, j]             what model m alone asks of latent j
    corr_j   = correlation over rows of asked_before and asked_after
    effect_m = U_m direction_mj, less its mean over the vocabulary                                            [vocab]
    cos_j    = cosine(effect_before, effect_after)

U_m is model m's unembedding, the gain of its final norm folded in: the direct path only, what blocks above the site do
with the direction is left out. nan where one side asks for nothing, or writes nothing. Sums are streamed, in double.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from probe.data import Estimate
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.pair import AFTER, BEFORE, Batch, check_pair, chosen_latents, directions
from probe.errors import BadInput
from probe.stats.bootstrap import bootstrap_totals, percentile_estimate
from probe.stats.checks import About, label_column

BLOCK = 256  # latents at a time: a [latent vocab] block of effects is all that is held
Unembedding = Float[Tensor, "vocab d"]


def asked_correlation(dictionary: Dictionary, batches: Iterable[Batch]) -> Float[Tensor, "latent"]:
    """Correlation of what the two models ask of each latent, over all rows of paired text. BadInput without rows."""
    n, sums = 0, torch.zeros(5, check_pair(dictionary).n_latents, dtype=torch.float64)
    for x in batches:
        sums += _products(dictionary, x, slice(None)).sum(1)
        n += len(x)
    if n < 2:
        raise BadInput(f"{n} rows", where=dictionary.where, do="give two or more")
    return torch.from_numpy(_correlation((sums / n).numpy(force=True)))


def asked_alike(
    dictionary: Dictionary,
    batches: Iterable[tuple[Batch, ArrayLike]],
    latents: Sequence[int],
    address: tuple[str | int, ...],
    n_boot: int = 1000,
) -> list[Estimate]:
    """The same of some latents, each with the interval over resampled problems; batches come with the problem of each
    row. BadInput without rows. `address` is that of the resamples."""
    chosen = chosen_latents(latents, check_pair(dictionary).n_latents, "asked_alike")
    sums: dict[str, np.ndarray] = {}
    rows = 0
    for x, problem in batches:
        names = label_column(problem, "problem", len(x)).astype(str)
        products = _products(dictionary, x, chosen).numpy(force=True)
        rows += len(x)
        for name in np.unique(names).tolist():
            here = names == name
            sums[name] = sums.get(name, 0.0) + np.concatenate([[here.sum()], products[:, here].sum(1).ravel()])
    if rows < 2:
        raise BadInput(f"{rows} rows", where=dictionary.where, do="give two or more")
    totals = np.stack([sums[name] for name in sorted(sums)])

    def statistic(drawn: Float[np.ndarray, "draw total"]) -> Float[np.ndarray, "draw latent"]:
        means = (drawn[:, 1:] / drawn[:, :1]).reshape(len(drawn), 5, len(chosen)).transpose(1, 0, 2)
        return _correlation(means)

    draws = bootstrap_totals(statistic, totals, address=address, n_boot=n_boot)
    value, about = statistic(totals.sum(0)[None])[0], About("asked_alike", "none")
    each = zip(value.tolist(), draws.T, strict=True)
    return [percentile_estimate(one, drawn, rows, len(totals), about) for one, drawn in each]


def _products(dictionary: Dictionary, x: Batch, latents: Tensor | slice) -> Float[Tensor, "product row latent"]:
    """What before asks and what after asks, their squares, and the one times the other, in double."""
    z = dictionary.inner(x)
    b, a = (torch.einsum("rd,dn->rn", z[:, m], dictionary.W_enc[m][:, latents]).double() for m in (BEFORE, AFTER))
    return torch.stack([b, a, b * b, a * a, b * a])


def _correlation(means: Float[np.ndarray, "product *latent"]) -> Float[np.ndarray, "*latent"]:
    """Of the means of the products; nan where one of the two never varies."""
    b, a, bb, aa, ba = means
    spread = np.sqrt((bb - b * b).clip(min=0)) * np.sqrt((aa - a * a).clip(min=0))
    floor = 1e-12 * np.sqrt(bb * aa)  # below it, what is left is rounding
    found = np.divide(ba - b * a, spread, out=np.full(spread.shape, np.nan), where=spread > floor)
    return found.clip(-1, 1)


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
