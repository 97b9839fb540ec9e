"""Do two groups of different problems differ? Suspected leaks against fresh controls: nothing pairs them.

    d = mean(first) - mean(second); interval from the limits l, u of each group's mean m (MOVER, Zou & Donner 2008):

        d - sqrt((m1 - l1)^2 + (u2 - m2)^2)    to    d + sqrt((u1 - m1)^2 + (m2 - l2)^2)

The groups' limits are Wilson's for 0/1 columns (then this is Newcombe 1998, method 10), else t limits. Under the null
problems are exchangeable between the groups: p = (1 + hits) / (1 + n_perm) over addressed relabellings, two-sided.
AUROC: how well a score tells two groups apart, problem by problem; its interval from placements (DeLong 1988).
One row a problem. Left out: several rows a problem (take their mean first), stratification.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from probe.data import Estimate, Unit
from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats.checks import binary, column
from probe.stats.intervals import Bounds, clustered_mean, wilson
from probe.stats.ranking import clustered_auroc

BATCH = 500  # relabellings at a time


def group_mean(values: ArrayLike, *, name: str, unit: Unit = "fraction", **about: Any) -> Estimate:
    """Mean of one group's `values` `[problem]`: Wilson's limits for 0/1, else a t interval."""
    rows = column(values, "values")
    mean = clustered_mean(rows, np.arange(rows.size), name=name, unit=unit, **about)
    if unit != "fraction" or not np.isin(rows, (0.0, 1.0)).all():
        return mean
    lo, hi = wilson(int(rows.sum()), rows.size, about.get("level", 0.95))
    return replace(mean, lo=lo, hi=hi)


def group_difference(
    values: ArrayLike,
    is_first: ArrayLike,
    *,
    name: str,
    unit: Unit = "fraction",
    bounds: Bounds | None = None,
    p: float | None = None,
    params: Mapping[str, Any] | None = None,
) -> Estimate:
    """Mean of `values` `[problem]` in the first group minus that in the second, null 0; `p` from `relabelled_p`.

    `n` and `n_problems` count both groups. BadInput where a group has fewer than two problems.
    """
    rows, first = column(values, "values"), _groups(is_first, np.size(values))
    one, two = (group_mean(rows[mine], name=name, unit=unit) for mine in (first, ~first))
    value = one.value - two.value
    lo = value - np.hypot(one.value - one.lo, two.hi - two.value)
    hi = value + np.hypot(one.hi - one.value, two.value - two.lo)
    low, high = bounds or ((-1.0, 1.0) if unit == "fraction" else (-np.inf, np.inf))
    limits = float(max(lo, low)), float(min(hi, high))
    return Estimate(name, value, *limits, rows.size, rows.size, unit, 0.0, p, dict(params or {}))


def relabelled_p(
    columns: Float[np.ndarray, "problem measure"],
    is_first: ArrayLike,
    address: tuple[str | int, ...],
    n_perm: int = 9999,
) -> Float[np.ndarray, "measure"]:
    """Two-sided p of no difference of means between the groups, for each column, on the same relabellings."""
    first = _groups(is_first, len(columns))
    if n_perm < 1 or not np.isfinite(columns).all():
        raise BadInput("missing values, or no permutation", where="relabelled_p", do="give finite columns, n_perm >= 1")
    centred = columns - columns.mean(0)  # of these a group's sum says all: the other group's is its negative
    observed = np.abs(centred[first].sum(0))
    slack = 1e-9 * np.abs(columns).sum(0)  # rounding counts as a tie
    rng, hits = numpy_rng(*address, "relabel"), np.zeros(columns.shape[1])
    for start in range(0, n_perm, BATCH):
        labels = rng.permuted(np.tile(first, (min(BATCH, n_perm - start), 1)), axis=1)
        hits += (np.abs(labels @ centred) >= observed - slack).sum(0)
    return (1 + hits) / (1 + n_perm)


def separation(
    scores: ArrayLike, is_first: ArrayLike, *, name: str, params: Mapping[str, Any] | None = None
) -> Estimate:
    """AUROC of `scores` `[problem]`: P(a problem of the first group scores higher) + P(they tie) / 2; null .5."""
    rows, first = column(scores, "scores"), _groups(is_first, np.size(scores))
    return clustered_auroc(rows, first, np.arange(rows.size), name=name, params=params)


def _groups(is_first: ArrayLike, rows: int) -> Bool[np.ndarray, "problem"]:
    first = binary(is_first, "is_first", rows=rows).astype(bool)
    if min(first.sum(), (~first).sum()) < 2:
        what = f"groups of {first.sum()} and {(~first).sum()} problems"
        raise BadInput(what, where="two groups", do="give each at least two")
    return first
