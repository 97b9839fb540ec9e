"""How much of the gap between two runs does an intervention close? A ratio, and when it is none.

    recovery = sum_i (patched_i - target_i) / sum_i (source_i - target_i)        i over rows, clustered by problem

A ratio of sums, not a mean of ratios: problems at which source and target happen to agree would rule a mean. Numerator
and denominator share the problems, so the interval is Fieller's (1954) with CR1 (co)variances over problems:

    (N - r D)^2 <= t^2 (V_NN - 2 r V_ND + r^2 V_DD)

Where the gap D is below GUARD of its own standard errors, or is rounding, there is nothing to recover: value and limits
are nan and `params["reason"]` says why. Nulls come as further columns: the same intervention with something random of
the same size. They need not recover 0: what breaks a run apart moves its fork towards the middle, which may be the
source's side. So `null` is the mean of the draws, and p ranks the value among them; without draws, the null is 0 and p
that of t of N.
Left out: the mean of per-problem ratios; denominators that are not paired with the numerators.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import stats

from probe.data import Estimate
from probe.stats.checks import cluster_codes, column

GUARD = 3.0  # standard errors that a gap must have
ROUNDING = 1e-5  # of the metric's size: what is smaller is no gap
Rows = Float[np.ndarray, "row"]


@dataclass(frozen=True, eq=False)
class Gap:
    """Two runs on the same rows, to be closed by interventions on the first: `problems` [row] are the clusters."""

    target: Rows
    source: Rows
    problems: Sequence[str]

    @property
    def undefined(self) -> str:
        """Why nothing can be said to be recovered; "" where it can."""
        gap, size = self.source - self.target, np.abs(np.concatenate([self.source, self.target])).max()
        if abs(gap.mean()) <= ROUNDING * size:
            return "source and target agree: there is no gap to recover"
        total, variance = _totals(np.stack([gap]), self.problems)
        if math.isnan(variance[0, 0]):
            return "there is one problem: its gap cannot be told from chance"
        within = abs(total[0]) / math.sqrt(variance[0, 0]) if variance[0, 0] > 0 else math.inf
        if not within >= GUARD:
            return f"the gap is {within:.1f} of its standard errors: under {GUARD:g} no ratio to it means anything"
        return ""


def recovery(
    patched: ArrayLike,
    gap: Gap,
    *,
    name: str,
    draws: Sequence[ArrayLike] = (),
    level: float = 0.95,
    params: Mapping[str, Any] | None = None,
) -> Estimate:
    """The share of `gap` that `patched` [row] closes; `draws` are null interventions [row] each.

    1 is all of it; below 0 and above 1 are possible. Unit "ratio"; n counts rows.
    """
    values = column(patched, "patched", rows=len(gap.target))
    columns, n_problems = dict(params or {}), len(set(gap.problems))
    if gap.undefined:
        columns["reason"] = gap.undefined
        return Estimate(name, *(math.nan,) * 3, len(values), n_problems, "ratio", 0.0, math.nan, columns)
    sums, variance = _totals(np.stack([values - gap.target, gap.source - gap.target]), gap.problems)
    value = float(sums[0] / sums[1])
    lo, hi = (
        _fieller(sums, variance, stats.t.isf((1 - level) / 2, n_problems - 1)) if n_problems > 1 else (math.nan,) * 2
    )
    shares = [share(one, gap) for one in draws]
    null = float(np.mean(shares)) if shares else 0.0
    p = outlying_p(value, shares) if shares else _t_p(sums[0], variance[0, 0], n_problems)
    return Estimate(name, value, min(lo, value), max(hi, value), len(values), n_problems, "ratio", null, p, columns)


def share(patched: ArrayLike, gap: Gap) -> float:
    """The ratio alone; nan where the gap is undefined."""
    if gap.undefined:
        return math.nan
    return float((np.asarray(patched, float) - gap.target).sum() / (gap.source - gap.target).sum())


def _totals(columns: Float[np.ndarray, "column row"], problems: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sums over rows [column], and their CR1 covariance over problems [column column]; nan with one problem."""
    codes, n = cluster_codes(problems, columns.shape[1])
    by_problem = np.stack([np.bincount(codes, values, minlength=n) for values in columns])
    apart = by_problem - by_problem.mean(1, keepdims=True)
    scale = n / (n - 1) if n > 1 else math.nan
    return by_problem.sum(1), scale * apart @ apart.T


def _fieller(sums: np.ndarray, variance: np.ndarray, t: float) -> tuple[float, float]:
    """Roots of the quadratic above; (-inf, inf) where the gap is not told from 0 at this level."""
    a = sums[1] ** 2 - t**2 * variance[1, 1]
    b = sums[0] * sums[1] - t**2 * variance[0, 1]
    c = sums[0] ** 2 - t**2 * variance[0, 0]
    if a <= 0:
        return -math.inf, math.inf
    inner = b**2 - a * c
    reach = math.sqrt(inner) / a if inner > 1e-12 * (b**2 + abs(a * c)) else 0.0  # 0 for exactly 0 and exactly 1
    return float(b / a - reach), float(b / a + reach)


def outlying_p(value: float, draws: Sequence[float]) -> float:
    """Two-sided: the share of value and draws at least as far from the median of all. Exact for exchangeable ones."""
    pool = np.array([value, *draws])
    far = np.abs(pool - np.median(pool))
    return float(np.mean(far >= far[0]))


def _t_p(total: float, variance: float, n_problems: int) -> float:
    if variance <= 0 or not math.isfinite(variance):
        return math.nan if math.isnan(variance) else float(total == 0)
    return float(2 * stats.t.sf(abs(total) / math.sqrt(variance), n_problems - 1))
