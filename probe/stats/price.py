"""What would a small step under a reward do to a trait of the samples? Price's equation, from the samples alone.

    pi'(y | x) ~ pi(y | x) exp(eta A(x, y))      =>      d E[z] / d eta = E_x Cov_{y | x}(A, z)     at eta = 0

A the advantage, z any trait of a response, x a problem, [group sample] the responses to it. Estimated by the unbiased
covariance within each group, averaged over groups; the group is the cluster of the interval. The null shuffles the
advantages within each group: what a reward with the same values, but blind to the responses, would show.
`reach` says how far the reward can push: the mean of the trait if in every group only the best-rewarded responses were
kept, on what the base already writes; a group that the reward does not tell apart stays as it is.
`through_strategy` is what a change of strategy brings to the accuracy: Cov(A, code) (acc_code - acc_prose).

nan marks what is missing: an advantage where the reward abstained, a trait that a response does not have. Source: Price
(1970); Lande & Arnold (1983). The equation is exact for the natural-gradient step above; plain gradient ascent, shared
weights, clipping and Adam are left out, and so is all that is second order.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from probe.data import Estimate, Unit
from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats.bootstrap import bootstrap_totals, percentile_estimate
from probe.stats.checks import About
from probe.stats.intervals import clustered_mean

Table = Float[np.ndarray, "group sample"]
BATCH = 50  # shuffles at a time
BAND = (0.025, 0.975)  # of the null


@dataclass(frozen=True)
class Forecast:
    """The first change of one trait per unit of eta, and the band of the same under shuffled advantages."""

    change: Estimate
    null: Estimate


def group_covariances(advantage: ArrayLike, trait: ArrayLike) -> Float[np.ndarray, "group"]:
    """Unbiased covariance within each group, over responses that have both; nan with fewer than two.

    Both `[group sample]`, nan where missing. Exactly 0 where either does not vary. BadInput unless they fit together.
    """
    rewarded, values = _fitting(advantage, trait)
    return _covariances(rewarded, values)


def forecasts(
    advantage: ArrayLike,
    traits: Mapping[str, ArrayLike],
    units: Mapping[str, Unit],
    address: tuple[str | int, ...],
    n_perm: int = 2000,
) -> dict[str, Forecast]:
    """By trait: the mean covariance, its t interval over groups, and two-sided p of the shuffles (null 0).

    `traits` `[group sample]` each; all meet the same shuffles, those of `address`. A trait with no group of two is left
    out. Values are in units of the trait per unit of eta.
    """
    if n_perm < 1:
        raise BadInput(f"n_perm is {n_perm}", do="give at least 1 shuffle; 2000 is usual")
    fitted = {name: _fitting(advantage, trait) for name, trait in traits.items()}
    found = {name: _covariances(*both) for name, both in fitted.items()}
    kept = [name for name, each in found.items() if np.isfinite(each).any()]
    if not kept:
        return {}
    weights = np.stack([_weights(*fitted[name]) for name in kept], axis=-1)
    shuffled = _shuffled_means(fitted[kept[0]][0], weights, address, n_perm)
    slack = 1e-9 * np.nansum(np.abs(fitted[kept[0]][0][..., None] * weights), (0, 1))  # rounding counts as a tie
    results = {}
    for i, name in enumerate(kept):
        n = int(np.isfinite(fitted[name][0] + fitted[name][1])[np.isfinite(found[name])].sum())
        change = _mean(found[name], name, units[name], n)
        hits = np.count_nonzero(np.abs(shuffled[:, i]) >= abs(change.value) - slack[i])
        change = replace(change, p=(1 + hits) / (1 + n_perm))
        results[name] = Forecast(change, _band(shuffled[:, i], change))
    return results


def reach(reward: ArrayLike, trait: ArrayLike) -> tuple[Float[np.ndarray, "group"], Float[np.ndarray, "group"]]:
    """Each group's mean of the trait today, and among its best-rewarded responses alone; nan where there is none.

    Both `[group sample]`, nan where missing; only responses with both count.
    """
    rewarded, values = _fitting(reward, trait)
    both = np.isfinite(rewarded + values)
    best = np.where(both, rewarded, -np.inf).max(1, keepdims=True)
    return _means(values, both), _means(values, both & (rewarded >= best))


def through_strategy(
    covariances: ArrayLike,
    right: ArrayLike,
    code: ArrayLike,
    p: float,
    address: tuple[str | int, ...],
    n_boot: int = 1000,
) -> Estimate:
    """Cov(A, code) x (accuracy in code - accuracy in prose), in accuracy per unit of eta; null 0.

    `covariances` `[group]` of advantage and code, nan where the reward trains on nothing, and `p` of their mean;
    `right` and `code` `[group sample]`, 0 or 1, nan where missing, of every group: accuracy is to change on all
    problems, not only on those that the reward trains on. Groups are resampled for both factors at once (percentile
    limits). p is the larger of the factors' two: the product is not 0 only where neither is. Where every covariance is
    0 so is the value, exactly (what is never sampled cannot be reinforced). nan where a strategy was never graded.
    Left out: that problems answered in code may be easier than those answered in prose.
    """
    moved, (graded, coded) = np.asarray(covariances, dtype=float), _fitting(right, code)
    if moved.shape != (len(graded),):
        raise BadInput(f"covariances of shape {moved.shape} for {len(graded)} groups", do="give one for each group")
    if not np.isfinite(moved).any():
        raise BadInput("no group has a covariance", where="through_strategy", do="give two responses to some problem")
    both, about = np.isfinite(graded + coded), About("accuracy", null=0.0)
    n, groups = int(both.sum()), int(both.any(1).sum())
    if not np.nan_to_num(moved).any():
        return about.estimate(0.0, (0.0, 0.0), n, groups, 1.0)
    parts = [np.isfinite(moved)[:, None], np.nan_to_num(moved)[:, None]]
    for which in (coded, 1 - coded):
        parts += [_totals(both, which), _totals(both, which * graded)]
    totals = np.concatenate(parts, axis=1).astype(float)
    draws = bootstrap_totals(_product_and_gap, totals, address=address, n_boot=n_boot)
    value, gap = _product_and_gap(totals.sum(0, keepdims=True))[0]
    apart = percentile_estimate(float(gap), draws[:, 1], n, groups, about).p
    found = percentile_estimate(float(value), draws[:, 0], n, groups, about)
    return replace(found, p=float(np.maximum(p, np.nan if apart is None else apart)))


def _fitting(advantage: ArrayLike, trait: ArrayLike) -> tuple[Table, Table]:
    """Both as float tables `[group sample]` of one shape. BadInput for anything else; nan is missing."""
    tables = []
    for name, values in (("advantages", advantage), ("trait", trait)):
        try:
            table = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError) as err:
            raise BadInput(f"the {name} are no table of numbers: {err}", do="give [group sample]") from err
        if table.ndim != 2 or table.size == 0:
            raise BadInput(f"the {name} have shape {table.shape}", do="give [group sample], neither of them empty")
        if np.isinf(table).any():
            raise BadInput(f"the {name} hold infinite values", do="mend them; nan marks what is missing")
        tables.append(table)
    if tables[0].shape != tables[1].shape:
        what = f"advantages {tables[0].shape} and trait {tables[1].shape} differ in shape"
        raise BadInput(what, do="give one of each for every response")
    return tables[0], tables[1]


def _covariances(advantage: Table, trait: Table) -> Float[np.ndarray, "group"]:
    both = np.isfinite(advantage + trait)
    n = both.sum(1)
    products = (_deviations(advantage, both) * _deviations(trait, both)).sum(1)
    return np.where(n > 1, products / np.maximum(n - 1, 1), np.nan)


def _weights(advantage: Table, trait: Table) -> Table:
    """What the mean covariance is linear in: sum(advantage * weights); 0 where a response does not count."""
    both = np.isfinite(advantage + trait)
    n = both.sum(1, keepdims=True)
    return np.where(n > 1, _deviations(trait, both) / np.maximum(n - 1, 1), 0.0) / max(np.count_nonzero(n > 1), 1)


def _deviations(values: Table, both: Bool[np.ndarray, "group sample"]) -> Table:
    """From the group's mean; exactly 0 where all are alike, whatever rounding makes of their mean."""
    kept = np.where(both, values, 0.0)
    mean = kept.sum(1, keepdims=True) / np.maximum(both.sum(1, keepdims=True), 1)
    low, high = (np.where(both, values, end).T for end in (np.inf, -np.inf))
    alike = low.min(0) >= high.max(0)
    return np.where(both & ~alike[:, None], kept - mean, 0.0)


def _shuffled_means(
    advantage: Table, weights: Float[np.ndarray, "group sample trait"], address: tuple[str | int, ...], n_perm: int
) -> Float[np.ndarray, "draw trait"]:
    """The mean covariances under advantages shuffled within their groups, among the responses that have one."""
    given = np.isfinite(advantage)
    first = np.argsort(~given, axis=1, kind="stable")  # what has an advantage comes first
    values = np.take_along_axis(np.nan_to_num(advantage), first, 1)
    flat = np.take_along_axis(weights, first[..., None], 1).reshape(-1, weights.shape[-1])
    last = np.take_along_axis(~given, first, 1)
    shuffles = _shuffles(values, last, address, n_perm)
    return np.concatenate([each.reshape(len(each), -1) @ flat for each in shuffles])


def _shuffles(
    values: Table, last: Bool[np.ndarray, "group sample"], address: tuple[str | int, ...], n_perm: int
) -> Iterator[Float[np.ndarray, "draw group sample"]]:
    rng = numpy_rng(*address, "within groups")
    for start in range(0, n_perm, BATCH):
        keys = rng.random((min(BATCH, n_perm - start), *values.shape)) + last  # 1 and more: stays behind
        yield np.take_along_axis(np.broadcast_to(values, keys.shape), keys.argsort(-1), -1)


def _mean(covariances: Float[np.ndarray, "group"], name: str, unit: Unit, n: int) -> Estimate:
    kept = covariances[np.isfinite(covariances)]
    found = clustered_mean(kept, np.arange(kept.size), name=name, unit="none", null=0.0)
    return replace(found, unit=unit, n=n)


def _band(shuffled: Float[np.ndarray, "draw"], change: Estimate) -> Estimate:
    low, high = np.quantile(shuffled, BAND)
    middle = float(np.median(shuffled))
    return replace(change, value=middle, lo=float(low), hi=float(high), n=shuffled.size, null=None, p=None)


def _means(values: Table, which: Bool[np.ndarray, "group sample"]) -> Float[np.ndarray, "group"]:
    n = which.sum(1)
    return np.where(n > 0, np.where(which, values, 0.0).sum(1) / np.maximum(n, 1), np.nan)


def _totals(both: Bool[np.ndarray, "group sample"], values: Table) -> Float[np.ndarray, "group one"]:
    return np.where(both, values, 0.0).sum(1, keepdims=True)


def _product_and_gap(totals: Float[np.ndarray, "draw feature"]) -> Float[np.ndarray, "draw part"]:
    groups, moved, code, right_code, prose, right_prose = totals.T
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = right_code / code - right_prose / prose
        return np.stack([moved / groups * gap, gap], axis=1)
