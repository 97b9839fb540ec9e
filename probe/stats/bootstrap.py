"""How sure is this statistic, when it is no mean? Resample whole problems and look at the percentiles.

One draw takes G of the G clusters with replacement, every row of each. Two ways to evaluate it, on the same draws:

    clustered_bootstrap   any statistic of resampled columns                          (about n_boot times its own cost)
    bootstrap_totals      a statistic of column totals: T(draw) = sum_g w_g totals_g  (vectorised over draws)

Percentile limits (Efron 1979). Resampling biases some statistics (ECE rises, because resampled bins are rougher), which
can push the percentiles past the value itself: the interval is then widened to hold the value. Draws on which the
statistic is undefined are left out of the percentiles; where they are more than 5 % the limits are nan.
Left out: BCa and studentised limits. A statistic that no draw changes gets width 0: shares belong in `clustered_mean`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from probe.data import Estimate, Unit
from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats.checks import About, check_rows, cluster_codes

Statistic = Callable[[dict[str, np.ndarray]], float]
UNDEFINED_SHARE = 0.05


def clustered_bootstrap(
    statistic: Statistic,
    columns: Mapping[str, ArrayLike],
    clusters: ArrayLike,
    *,
    name: str,
    address: tuple[str | int, ...],
    n_boot: int = 1000,
    level: float = 0.95,
    unit: Unit = "fraction",
    null: float | None = None,
    params: Mapping[str, Any] | None = None,
) -> Estimate:
    """`statistic(columns)` with percentile limits over resampled `clusters` `[row]`; `columns` maps names to `[row]`.

    The draws are those of `address`, whatever the order of the rows; a cluster's rows keep their order.
    """
    arrays = {key: np.asarray(values) for key, values in columns.items()}
    if not arrays or min(array.size for array in arrays.values()) == 0:
        raise BadInput(f"no rows to resample for {name}", do="give at least one column with at least one row")
    rows = len(next(iter(arrays.values())))
    for key, array in arrays.items():
        check_rows(len(array), key, rows)
    codes, n_clusters = cluster_codes(clusters, rows)
    order = np.argsort(codes, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    draws = [
        float(statistic({key: array[picked] for key, array in arrays.items()}))
        for picked in (np.concatenate([groups[g] for g in draw]) for draw in resamples(n_clusters, n_boot, address))
    ]
    about = About(name, unit, level, null, params)
    return percentile_estimate(float(statistic(arrays)), np.array(draws), rows, n_clusters, about)


def bootstrap_totals(
    statistic: Callable[[Float[np.ndarray, "draw feature"]], Float[np.ndarray, "draw part"]],
    totals: Float[np.ndarray, "cluster feature"],
    *,
    address: tuple[str | int, ...],
    n_boot: int = 1000,
) -> Float[np.ndarray, "draw part"]:
    """`statistic` of the summed `totals` of every resample, on the same draws as `clustered_bootstrap`."""
    n_clusters = len(totals)
    counts = (np.bincount(draw, minlength=n_clusters) for draw in resamples(n_clusters, n_boot, address))
    return statistic(np.array([weights @ totals for weights in counts]))


def resamples(n_clusters: int, n_boot: int, address: tuple[str | int, ...]) -> Iterator[Int[np.ndarray, "cluster"]]:
    """`n_boot` draws of `n_clusters` cluster codes with replacement."""
    if n_boot < 1:
        raise BadInput(f"n_boot is {n_boot}", do="give at least 1 resample; 1000 is usual")
    rng = numpy_rng(*address, "bootstrap")
    return (rng.integers(n_clusters, size=n_clusters) for _ in range(n_boot))


def percentile_estimate(
    value: float, draws: Float[np.ndarray, "draw"], n: int, n_problems: int, about: About
) -> Estimate:
    """The Estimate of a value and its draws; p = 2 min(P(draw <= null), P(draw >= null)), at least 2/(B+1)."""
    defined = draws[np.isfinite(draws)]
    if n_problems < 2 or not math.isfinite(value) or defined.size < (1 - UNDEFINED_SHARE) * draws.size:
        return about.estimate(value, (math.nan, math.nan), n, n_problems, math.nan)
    tail = (1 - about.level) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    p = _tail_p(defined, about.null or 0.0)
    return about.estimate(value, (min(low, value), max(high, value)), n, n_problems, p)


def _tail_p(draws: Float[np.ndarray, "draw"], null: float) -> float:
    fewest = min(np.count_nonzero(draws <= null), np.count_nonzero(draws >= null))
    return min(1.0, 2 * (1 + int(fewest)) / (1 + draws.size))
