"""Does a score rank the yes above the no? AUROC with an interval over problems.

    theta = sum_f W_f / sum_f P_f      W_f: pairs (yes, no) of stratum f in which the yes scores higher, ties one half
    moves: yes i   (v_i - theta) n0_f / P     no j   (v_j - theta) n1_f / P      v: its placement, P = sum_f P_f

A placement is the share of the other class within the stratum that a row is on the right side of (DeLong 1988; over
problems: Obuchowski 1997). Strata are what must not be compared: scores of probes fitted on different folds. Moves sum
to 0; their sums over problems give the standard error. Left out: uncertainty of what made the scores.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from probe.data import Estimate
from probe.stats.checks import binary, check_rows, column, label_column
from probe.stats.intervals import clustered_mean

Ranked = tuple[float, Float[np.ndarray, "row"]]


def ranked(scores: ArrayLike, is_yes: ArrayLike, strata: ArrayLike | None = None) -> Ranked:
    """AUROC and the moves of its rows `[row]`; nan (and moves of nan) where no stratum holds both classes."""
    rows = column(scores, "scores")
    yes = binary(is_yes, "is_yes", rows=rows.size).astype(bool)
    inside = np.zeros(rows.size, dtype=int) if strata is None else label_column(strata, "strata", rows.size)
    placed, other = np.zeros(rows.size), np.zeros(rows.size)
    for stratum in np.unique(inside):
        here = inside == stratum
        placed[here], other[here] = _placements(rows[here], yes[here])
    pairs = other[yes].sum()
    if pairs == 0:
        return float("nan"), np.full(rows.size, np.nan)
    value = float((placed * other)[yes].sum() / pairs)
    return value, (placed - value) * other / pairs


def clustered_auroc(
    scores: ArrayLike,
    is_yes: ArrayLike,
    clusters: ArrayLike,
    *,
    name: str,
    strata: ArrayLike | None = None,
    params: Mapping[str, Any] | None = None,
) -> Estimate:
    """AUROC of `scores` `[row]`, null .5, with a CR1 t interval over `clusters` `[row]`; nan without both classes."""
    value, moves = ranked(scores, is_yes, strata)
    check_rows(np.size(clusters), "clusters", moves.size)
    if not np.isfinite(value):
        problems = np.unique(np.asarray(clusters)).size
        return Estimate(name, value, np.nan, np.nan, moves.size, problems, "fraction", 0.5, None, dict(params or {}))
    about: dict[str, Any] = {"name": name, "null": 0.5, "bounds": (0.0, 1.0), "params": params}
    return replace(clustered_mean(value + moves.size * moves, clusters, **about), value=value)


def _placements(rows: Float[np.ndarray, "row"], yes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row its placement among the other class, and how many there are of that."""
    placed, n_yes, n_no = np.zeros(rows.size), int(yes.sum()), int((~yes).sum())
    if n_yes and n_no:
        ranks = rankdata(rows)
        placed[yes] = (ranks[yes] - rankdata(rows[yes])) / n_no
        placed[~yes] = 1 - (ranks[~yes] - rankdata(rows[~yes])) / n_yes
    return placed, np.where(yes, n_no, n_yes).astype(float)
