"""How do a number before, the number after and their paired difference become estimates?

    means        shares and means of paired rows; p of the change by sign flips of whole problems
    linearised   a smooth statistic from scores s_i = d theta / d row: se^2 = G/(G-1) sum_g (sum_{i in g} s_i)^2
    ratio        r = sum y / sum x with its scores (y_i - r x_i) / sum x, to be added and subtracted across sides

A difference of two ratios has the difference of their scores, so before and after stay paired by problem.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from probe.data import Estimate, Unit
from probe.measures._pairing import Paired
from probe.stats import clustered_mean, clustered_ratio, paired_permutation

SIDES = ("before", "after")


def means(
    name: str,
    before: Shaped[np.ndarray, "row"],
    after: Shaped[np.ndarray, "row"],
    pair: Paired,
    address: tuple[str | int, ...],
) -> list[Estimate]:
    """Mean before, mean after and change (null 0) of two paired columns in [0, 1]."""
    found = [
        clustered_mean(rows, pair.problem, name=name, params={"side": side})
        for side, rows in zip(SIDES, (before, after), strict=True)
    ]
    change = after.astype(np.float64) - before
    moved = clustered_mean(change, pair.problem, name=name, null=0.0, bounds=(-1.0, 1.0), params={"side": "change"})
    return [*found, replace(moved, p=paired_permutation(before, after, pair.problem, (*address, name)))]


def ratio(numer: Shaped[np.ndarray, "row"], denom: Shaped[np.ndarray, "row"]) -> tuple[float, Float[np.ndarray, "row"]]:
    """sum(numer) / sum(denom), which must not be 0, and its scores `[row]`, which sum to 0."""
    value = float(numer.sum() / denom.sum())
    return value, (numer - value * denom) / denom.sum()


def linearised(
    value: float,
    scores: Float[np.ndarray, "row"],
    clusters: Int[np.ndarray, "row"],
    *,
    name: str,
    null: float | None,
    bounds: tuple[float, float],
    params: Mapping[str, Any],
    unit: Unit = "fraction",
) -> Estimate:
    """A statistic with a CR1 t interval from its `scores`, of the rows that bear on it (G counts their clusters)."""
    pseudo = value + scores.size * scores
    found = clustered_mean(pseudo, clusters, name=name, unit=unit, null=null, bounds=bounds, params=params)
    return replace(found, value=value)


def token_mean(
    values: Shaped[np.ndarray, "token"],
    weights: Shaped[np.ndarray, "token"],
    clusters: tuple[Int[np.ndarray, "token"], int],
    **about: Any,
) -> Estimate:
    """sum(weights * values) / sum(weights) over tokens; summed by problem first, which changes nothing but the time."""
    codes, n_problems = clusters
    top, bottom = (np.bincount(codes, column, minlength=n_problems) for column in (weights * values, weights))
    found = clustered_ratio(top, bottom, np.arange(n_problems), **about)
    return replace(found, n=int(np.count_nonzero(weights)))
