"""How sure is this mean, when several responses share a problem?

Rows of one cluster (problem) are not independent, so variances are taken over clusters. Value and CR1 variance of a
ratio of sums r = sum y / sum x (a mean is x = 1):

    S_g = sum_{i in g} (y_i - r x_i) / sum x;    var = G/(G-1) * sum_g S_g^2;    interval r +- t_{G-1} se

G counts the clusters with any x > 0. For a mean with one row per cluster this is the classical t interval.
Single proportions of independent rows: Wilson (1927). CR1: Cameron & Miller (2015); ratio: Cochran (1977), ch. 6.

Without spread (every cluster alike) a t interval has width 0, which claims too much. With bounds [a, b] the interval
then says how many clusters could still differ: v - w (v-a) to v + w (b-v), w = Wilson's upper limit for 0 of G. For a
0/1 column that is Wilson over clusters. One cluster says nothing about the others: nan limits.
Left out: resampling (`bootstrap`), seeds as replicates (`replicates`), finite-population corrections. Near 0 and 1 with
few clusters the clipped t interval covers too little: see Wilson where rows are independent.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import stats

from probe.data import Estimate, Unit
from probe.errors import BadInput
from probe.stats.checks import About, Clusters, check_level, cluster_codes, column

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Spread:
    """A value with its standard error, its degrees of freedom and the number of clusters behind them."""

    value: float
    se: float
    df: float
    clusters: int


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson score limits for a proportion of n independent trials; BadInput unless 0 <= successes <= n and n >= 1."""
    if not 0 <= successes <= n or n < 1:
        raise BadInput(f"{successes} successes of {n} trials", where="wilson", do="give 0 <= successes <= n, n >= 1")
    z = stats.norm.isf((1 - check_level(level)) / 2)
    share = successes / n
    centre, half = share + z**2 / (2 * n), z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    scale = 1 + z**2 / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def clustered_mean(
    values: ArrayLike,
    clusters: ArrayLike,
    *,
    name: str,
    unit: Unit = "fraction",
    level: float = 0.95,
    null: float | None = None,
    bounds: Bounds | None = None,
    params: Mapping[str, Any] | None = None,
) -> Estimate:
    """Plain mean over rows of `values` `[row]` with a CR1 t interval over `clusters` `[row]`, and p against `null`.

    The interval is clipped to `bounds`. Left at None, a fraction whose values lie in [0, 1] has bounds (0, 1), one with
    negative values in [-1, 1] (a paired difference) has (-1, 1), anything else none. A difference that may happen to
    have no negative value should give bounds=(-1, 1) itself.
    """
    numer = column(values, "values")
    codes = cluster_codes(clusters, numer.size)
    spread = ratio_spread(numer, np.ones(numer.size), codes)
    limits = bounds or natural_bounds(numer, np.ones(numer.size), unit)
    return t_estimate(spread, numer.size, limits, About(name, unit, level, null, params))


def clustered_ratio(
    numer: ArrayLike,
    denom: ArrayLike,
    clusters: ArrayLike,
    *,
    name: str,
    unit: Unit = "fraction",
    level: float = 0.95,
    null: float | None = None,
    bounds: Bounds | None = None,
    params: Mapping[str, Any] | None = None,
) -> Estimate:
    """sum(numer) / sum(denom) over rows, e.g. accuracy within code = right-and-code / code, with a linearised interval.

    `n` counts the rows and `n_problems` the clusters with a positive denominator. Where no row has one (no response
    used code) value and interval are nan. Negative denominators are BadInput: a ratio of differences has no linearised
    interval worth the name near 0 (use `clustered_bootstrap`). `bounds` as in `clustered_mean`.
    """
    top = column(numer, "numer")
    bottom = column(denom, "denom", rows=top.size, low=0.0)
    codes = cluster_codes(clusters, top.size)
    limits = bounds or natural_bounds(top, bottom, unit)
    rows = int(np.count_nonzero(bottom))
    spread = ratio_spread(top, bottom, codes)
    return t_estimate(spread, rows, limits, About(name, unit, level, null, params))


def ratio_spread(numer: Float[np.ndarray, "row"], denom: Float[np.ndarray, "row"], codes: Clusters) -> Spread:
    """Ratio of sums and its CR1 standard error; nan value where denom sums to 0, nan error with one cluster."""
    total, (code, n_clusters) = denom.sum(), codes
    used = int(np.count_nonzero(np.bincount(code, denom, minlength=n_clusters)))
    if used == 0:
        return Spread(math.nan, math.nan, math.nan, 0)
    value = float(numer.sum() / total)
    scores = np.bincount(code, (numer - value * denom) / total, minlength=n_clusters)
    se = math.sqrt(used / (used - 1) * (scores @ scores)) if used > 1 else math.nan
    return Spread(value, se, float(used - 1), used)


def natural_bounds(numer: Float[np.ndarray, "row"], denom: Float[np.ndarray, "row"], unit: Unit) -> Bounds | None:
    """Where a fraction can lie, read off its rows: (0, 1), (-1, 1) for differences, else no bounds."""
    if unit != "fraction" or (np.abs(numer) > denom).any():
        return None
    return (0.0, 1.0) if (numer >= 0).all() else (-1.0, 1.0)


def t_estimate(spread: Spread, n: int, bounds: Bounds | None, about: About) -> Estimate:
    """The Estimate of a spread: t interval clipped to bounds, two-sided p; see the module's text for no spread."""
    value, se = spread.value, spread.se
    if not math.isfinite(se):
        return about.estimate(value, (math.nan, math.nan), n, spread.clusters, math.nan)
    if se <= 1e-12 * max(1.0, abs(value)):
        alike = int(spread.df) + 1
        limits, p = _alike_limits(value, alike, bounds, about.level), _alike_p(value, alike, bounds, about.null)
        return about.estimate(value, limits, n, spread.clusters, p)
    reach = se * stats.t.isf((1 - about.level) / 2, spread.df)
    low, high = bounds or (-math.inf, math.inf)
    p = 2 * stats.t.sf(abs(value - (about.null or 0.0)) / se, spread.df)
    return about.estimate(value, (max(value - reach, low), min(value + reach, high)), n, spread.clusters, p)


def _alike_limits(value: float, clusters: int, bounds: Bounds | None, level: float) -> tuple[float, float]:
    if bounds is None:
        return value, value
    could_differ = wilson(0, clusters, level)[1]
    return value - could_differ * (value - bounds[0]), value + could_differ * (bounds[1] - value)


def _alike_p(value: float, clusters: int, bounds: Bounds | None, null: float | None) -> float:
    """The level at which `_alike_limits` just reaches the null; unbounded: the smallest p of a sign-flip test."""
    if null is None or abs(value - null) <= 1e-12 * max(1.0, abs(value)):
        return 1.0
    if bounds is None:
        return 2.0 ** (1 - clusters)
    room = (bounds[1] - value) if null > value else (value - bounds[0])
    share = min(1.0, abs(null - value) / room) if room > 0 else 1.0
    return 0.0 if share == 1.0 else float(2 * stats.norm.sf(math.sqrt(clusters * share / (1 - share))))
