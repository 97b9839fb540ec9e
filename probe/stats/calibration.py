"""Does a stated confidence q in [0, 1] say how often the answer y in {0, 1} is right?

    Brier = mean (q - y)^2                                     ECE = sum_b n_b/n |mean_b q - mean_b y|
    AUROC = P(q_right > q_wrong) + P(q_right = q_wrong)/2      (nan where all are right or all are wrong)

Bins are of equal width, closed on the left, the last one closed on both sides: q = .7 opens the bin [.7, .8). This is
the convention that reproduces the published numbers of 2507.16806 (ECE .1879; bins closed on the right give .1889).
Edges are the decimal ones: q is rounded to 9 digits of a bin, so that .58 * 50 = 28.99...9 opens bin 29, as written.
Left out: adaptive bins, debiased ECE; intervals of the three numbers (`clustered_bootstrap` with these as statistic).
"""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from probe.errors import BadInput
from probe.stats.checks import binary, cluster_codes, column
from probe.stats.intervals import clustered_mean, wilson


def brier(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Mean squared distance of confidence `[row]` from correctness `[row]`: 0 best, .25 for always saying one half."""
    q, y = _pair(confidence, correct)
    return float(np.mean((q - y) ** 2))


def ece(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error, in [0, 1]."""
    q, y = _pair(confidence, correct)
    gaps = np.bincount(_bin(q, bins), q - y, minlength=bins)
    return float(np.abs(gaps).sum() / q.size)


def auroc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Probability that a right answer is stated with more confidence than a wrong one, ties counting one half."""
    q, y = _pair(confidence, correct)
    right, wrong = y.sum(), (1 - y).sum()
    if right == 0 or wrong == 0:
        return float("nan")
    wins = rankdata(q)[y == 1].sum() - right * (right + 1) / 2  # Mann-Whitney U, mid-ranks for ties
    return float(wins / (right * wrong))


def reliability(
    confidence: ArrayLike, correct: ArrayLike, bins: int = 10, *, clusters: ArrayLike | None = None, level: float = 0.95
) -> list[dict[str, float]]:
    """One row per bin that holds answers, for a reliability diagram.

    Keys: left, right (edges), n, confidence and accuracy (means), lo, hi (limits of the accuracy). Limits are Wilson's,
    or clustered by `clusters` `[row]` where a problem has several rows.
    """
    q, y = _pair(confidence, correct)
    which = _bin(q, bins)
    groups = None if clusters is None else cluster_codes(clusters, q.size)[0]
    rows = []
    for b in np.unique(which):
        held = which == b
        lo, hi = _limits(y[held], None if groups is None else groups[held], level)
        edges = {"left": float(b / bins), "right": float((b + 1) / bins), "n": int(held.sum())}
        means = {"confidence": float(q[held].mean()), "accuracy": float(y[held].mean())}
        rows.append({**edges, **means, "lo": lo, "hi": hi})
    return rows


def _limits(correct: Float[np.ndarray, "row"], clusters: np.ndarray | None, level: float) -> tuple[float, float]:
    if clusters is None:
        return wilson(int(correct.sum()), correct.size, level)
    accuracy = clustered_mean(correct, clusters, name="accuracy", level=level)
    return accuracy.lo, accuracy.hi


def _pair(confidence: ArrayLike, correct: ArrayLike) -> tuple[Float[np.ndarray, "row"], Float[np.ndarray, "row"]]:
    q = column(confidence, "confidence", low=0.0, high=1.0)
    return q, binary(correct, "correct", rows=q.size)


def _bin(q: Float[np.ndarray, "row"], bins: int) -> Int[np.ndarray, "row"]:
    if bins < 1:
        raise BadInput(f"{bins} bins", where="calibration", do="give at least one bin")
    return np.minimum(np.floor(np.round(q * bins, 9)).astype(np.int64), bins - 1)
