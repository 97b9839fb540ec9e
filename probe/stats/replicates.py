"""Does this hold over seeds? A claim about RL is a claim over training seeds, and seeds are few.

    seeds_mean   one number per seed:        mean +- t_{S-1} sd / sqrt(S)
    two_level    one number per seed x problem (crossed: every seed answers the same problems):

        Y_sp = mu + a_s + b_p + e_sp;        V_s, V_p: CR1 variances of the mean clustered by seed, by problem
        E V_s = var(a)/S + var(e)/SP;        E V_p = var(b)/P + var(e)/SP;        V = V_s + V_p

V exceeds the variance of the mean by var(e)/SP: conservative, and never negative, where the two-way estimator
V_s + V_p - V_sp (Cameron, Gelbach & Miller 2011) can be. Degrees of freedom by Satterthwaite, from min(S, P) - 1 to
S + P - 2. Where nothing varies, over seeds or problems, the limits are those of min(S, P) clusters that are alike:
three seeds at 0 do not rule out a fourth that is not. One seed says nothing about others: nan limits.
Measured coverage of the 95 % limits with 3 seeds x 100 problems: .93 (seeds dominate) to .99 (neither matters).
Left out: seeds nested in configurations.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from probe.data import Estimate, Unit
from probe.stats.checks import About, cluster_codes, column
from probe.stats.intervals import Bounds, Spread, clustered_mean, natural_bounds, ratio_spread, t_estimate


def seeds_mean(
    values: ArrayLike,
    *,
    name: str,
    unit: Unit = "fraction",
    level: float = 0.95,
    null: float | None = None,
    bounds: Bounds | None = None,
    params: Mapping[str, Any] | None = None,
) -> Estimate:
    """Mean of `values` `[seed]` with a t interval: a seed is its own cluster, so n = n_problems = number of seeds."""
    seeds = column(values, "values")
    about = {**(params or {}), "n_seeds": seeds.size}
    return clustered_mean(
        seeds, np.arange(seeds.size), name=name, unit=unit, level=level, null=null, bounds=bounds, params=about
    )


def two_level(
    values: ArrayLike,
    seeds: ArrayLike,
    clusters: ArrayLike,
    *,
    name: str,
    unit: Unit = "fraction",
    level: float = 0.95,
    null: float | None = None,
    bounds: Bounds | None = None,
    params: Mapping[str, Any] | None = None,
) -> Estimate:
    """Plain mean over rows of `values` `[row]`, each of one seed and one problem, with an interval over both.

    Rows of a seed and problem may repeat (several samples) and need not balance. `n_problems` counts problems; the
    number of seeds is params["n_seeds"]. `bounds` as in `clustered_mean`.
    """
    numer = column(values, "values")
    ones = np.ones(numer.size)
    by_seed = ratio_spread(numer, ones, cluster_codes(seeds, numer.size))
    by_problem = ratio_spread(numer, ones, cluster_codes(clusters, numer.size))
    about = {**(params or {}), "n_seeds": by_seed.clusters}
    limits = bounds or natural_bounds(numer, ones, unit)
    spread = _crossed(by_seed, by_problem)
    return t_estimate(spread, numer.size, limits, About(name, unit, level, null, about))


def _crossed(by_seed: Spread, by_problem: Spread) -> Spread:
    variance = by_seed.se**2 + by_problem.se**2
    split = [level.se**4 / level.df for level in (by_seed, by_problem) if level.df > 0]
    df = variance**2 / sum(split) if variance > 0 else min(by_seed.df, by_problem.df)
    return Spread(by_problem.value, math.sqrt(variance), df, by_problem.clusters)
