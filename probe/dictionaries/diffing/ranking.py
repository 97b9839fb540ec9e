"""Which latents tell a label, push a logit, or light up around listed words? Three rankings, none of them a cause.

    AUROC         of f_j for a yes/no label of rows (strategy at the fork): .5 says nothing, below it it says no
    attribution   f_j (direction_j . g)         g = d(logit a - logit b)/dx at the row: first order   [row latent]
    ReasonScore   s_j = mu+_j / sum mu+  H_j^.7 - mu-_j / sum mu-                                           (2503.18878)

mu+ and mu-: mean activation inside and outside windows around listed words. H_j is the entropy of latent j's mean
activation over the words, shares of their sum, over log(number of words): a latent of one word alone scores 0 there.
ReasonScore's known failure: it ranks what fires on the words themselves (2601.05679); `injection` tests for it.
AUROCs come with intervals clustered by problem and Holm's p over all latents asked for. Left out: ablation (`edits`).
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from torch import Tensor

from probe.dictionaries.activation import Latents
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.firing import Change, with_holm
from probe.dictionaries.pair import check_same_rows, chosen_latents, directions
from probe.errors import BadInput
from probe.stats.checks import binary, label_column
from probe.stats.ranking import clustered_auroc

ALPHA = 0.7  # of the paper


def aurocs(f: Latents, yes: ArrayLike) -> Float[np.ndarray, "latent"]:
    """Of every latent, ties one half; nan where only one class is there. Memory: a double a row and latent."""
    label = binary(yes, "yes").astype(bool)
    check_same_rows(f, label, where="aurocs")
    n_yes, n_no = int(label.sum()), int((~label).sum())
    if not n_yes or not n_no:
        return np.full(f.shape[1], np.nan)
    wins = rankdata(f.numpy(force=True), axis=0)[label].sum(0) - n_yes * (n_yes + 1) / 2
    return wins / (n_yes * n_no)


def by_auroc(f: Latents, yes: ArrayLike, problems: ArrayLike, latents: Sequence[int] | None = None) -> list[Change]:
    """AUROC of each latent (None: of all), null .5, with its interval over problems and Holm's p; furthest from .5
    first, one that never fires last."""
    label = binary(yes, "yes")
    names = label_column(problems, "problems", len(label))
    check_same_rows(f, label, where="by_auroc")
    chosen = list(range(f.shape[1])) if latents is None else chosen_latents(latents, f.shape[1], "by_auroc").tolist()
    columns = f.numpy(force=True).astype(np.float64)
    found = [clustered_auroc(columns[:, j], label, names, name="latent_auroc") for j in chosen]
    return sorted(with_holm(chosen, found), key=lambda each: -abs(np.nan_to_num(each.estimate.value, nan=0.5) - 0.5))


def attribution(
    dictionary: Dictionary, model: str, f: Latents, gradient: Float[Tensor, "row d"]
) -> Float[Tensor, "row latent"]:
    """What each latent's own part of `model`'s activation adds to a logit difference, to first order.

    `gradient` is that of the difference by the activation at the dictionary's site, row by row.
    """
    check_same_rows(f, gradient, where="attribution")
    towards = directions(dictionary, model)
    if f.shape[1] != len(towards) or gradient.shape[1:] != towards.shape[1:]:
        what = f"{tuple(f.shape)} latents and a gradient of {tuple(gradient.shape)}"
        raise BadInput(what, where=dictionary.where, do=f"give {len(towards)} latents, and a width of {dictionary.d}")
    return f * (gradient.to(towards) @ towards.T)


def reason_scores(f: Latents, word: ArrayLike, alpha: float = ALPHA) -> Float[np.ndarray, "latent"]:
    """ReasonScore of every latent. `word` [row] names the listed word around which a row lies, "" for rows outside.

    BadInput unless at least two words and the outside have rows, and something fires in each of inside and outside.
    """
    names = label_column(word, "word").astype(str)
    check_same_rows(f, names, where="reason_scores")
    active, listed = f.numpy(force=True).astype(np.float64), sorted(set(names.tolist()) - {""})
    if len(listed) < 2 or not (names == "").any():
        what = f"{len(listed)} words and {int((names == '').sum())} rows outside of their windows"
        raise BadInput(what, where="reason_scores", do="give rows around two words or more, and rows outside")
    inside, outside = (active[side].mean(0) for side in (names != "", names == ""))
    if not inside.sum() > 0 or not outside.sum() > 0:
        raise BadInput("nothing fires inside, or outside", where="reason_scores", do="give rows of that dictionary")
    spread = entropy_over(np.stack([active[names == each].mean(0) for each in listed]))
    return inside / inside.sum() * spread**alpha - outside / outside.sum()


def entropy_over(means: Float[np.ndarray, "word latent"]) -> Float[np.ndarray, "latent"]:
    """Normalised entropy of each column's shares: 1 spread evenly, 0 on one word (or nothing anywhere)."""
    total = means.sum(0)
    share = np.divide(means, total, out=np.zeros_like(means), where=total > 0)
    surprise = -np.log(share, out=np.zeros_like(share), where=share > 0)
    return (share * surprise).sum(0) / np.log(len(means))


def strongest(scores: ArrayLike | Tensor, k: int) -> list[int]:
    """The k latents furthest from 0, the first of those that tie; nan last."""
    size = np.abs(scores.numpy(force=True) if isinstance(scores, torch.Tensor) else np.asarray(scores))
    return np.argsort(-np.nan_to_num(size, nan=-1.0), kind="stable")[:k].tolist()
