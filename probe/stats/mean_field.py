"""Where would GRPO take a model that could move along a few traits alone? A mean field of the run, from samples.

    pi_theta(y | x) ~ pi(y | x) exp(sum_k theta_k z_k(y))        z_k the traits of a response: code, boxed, right

Every update moves each theta_k as Adam would move one logit: by its step, times the gradient over its root mean square

    theta_k += step_k m_k / sqrt(m_k^2 + v_k / B)                m_k = E_x Cov_theta(A, z_k),  B responses an update
                                                                v_k = E_x E_theta[(A (z_k - E z_k))^2]

with A the rewards normalised within a problem under the policy as it is by then. So it saturates where first-order
forecasts (`probe.stats.price`) do not: shares end at 0 or 1, and a clear signal moves as far as Adam steps. What is
never sampled cannot be reinforced. `step_k` are its only constants. Left out: tokens, clipping, momentum, forgetting,
and that what is learned about one problem may not hold of another.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from probe.errors import BadInput

Table = Float[np.ndarray, "group sample"]
TINY = 1e-9


def mean_field(
    rewards: Table, traits: Mapping[str, Table], steps: Mapping[str, float], *, updates: int, batch: int
) -> dict[str, Float[np.ndarray, "group"]]:
    """Change of every trait `[group]` after `updates`; nan where it has no sample. Those in `steps` are moved along.

    `rewards` and `traits` `[group sample]`, nan where missing: a group without a reward teaches nothing, and moves with
    the others. BadInput for tables that do not fit, a trait that is not there, or counts below 1.
    """
    unknown = [name for name in steps if name not in traits]
    shapes = {table.shape for table in (rewards, *traits.values())}
    if unknown or len(shapes) != 1 or min(updates, batch) < 1:
        what = f"traits {list(traits)} of shapes {sorted(shapes)}, steps {list(steps)}, {updates} updates of {batch}"
        raise BadInput(
            what, where="mean field", do="give tables of one shape, a trait for each step, counts of 1 or more"
        )
    moved = {name: np.nan_to_num(traits[name]) for name in steps}
    theta = dict.fromkeys(steps, 0.0)
    taught, values = np.isfinite(rewards), np.nan_to_num(rewards)
    for _ in range(updates):
        weights = _weights(moved, theta, np.ones_like(values))
        given = np.where(taught, weights, 0.0)
        advantage = _normalised(values, given)
        theta = {name: theta[name] + steps[name] * _direction(advantage, z, given, batch) for name, z in moved.items()}
    return {name: _change(table, moved, theta) for name, table in traits.items()}


def _weights(moved: Mapping[str, Table], theta: Mapping[str, float], kept: Table) -> Table:
    """Of the samples under the tilted policy; those of a group sum to 1 over what is kept."""
    exponent = sum((theta[name] * z for name, z in moved.items()), np.zeros_like(kept))
    raw = np.exp(exponent - exponent.max(1, keepdims=True)) * kept
    return raw / np.maximum(raw.sum(1, keepdims=True), TINY)


def _normalised(values: Table, weights: Table) -> Table:
    """GRPO's advantage under these weights; 0 where nothing varies."""
    total = np.maximum(weights.sum(1, keepdims=True), TINY)
    centred = values - (weights * values).sum(1, keepdims=True) / total
    spread = np.sqrt((weights * centred**2).sum(1, keepdims=True) / total)
    return np.where(spread > 1e-6, centred / np.maximum(spread, TINY), 0.0)


def _direction(advantage: Table, z: Table, weights: Table, batch: int) -> float:
    """Adam's normalised gradient of one logit, in [-1, 1]; groups that teach count alike."""
    total = weights.sum(1)
    taught = total > 0
    share = weights[taught] / total[taught, None]
    from_mean = z[taught] - (share * z[taught]).sum(1, keepdims=True)
    each = advantage[taught] * from_mean
    mean = float((share * each).sum(1).mean()) if taught.any() else 0.0
    square = float((share * each**2).sum(1).mean()) if taught.any() else 0.0
    return mean / float(np.sqrt(mean**2 + square / batch)) if square > 0 else 0.0


def _change(table: Table, moved: Mapping[str, Table], theta: Mapping[str, float]) -> Float[np.ndarray, "group"]:
    kept = np.isfinite(table).astype(float)
    before, after = (_weights(moved, each, kept) for each in (dict.fromkeys(theta, 0.0), theta))
    change = ((after - before) * np.nan_to_num(table)).sum(1)
    return np.where(kept.any(1), change, np.nan)
