"""Through which channel did accuracy change in one step: strategy mix, parse rate, or accuracy within strategies?

The parts are those of `probe.stats.oaxaca`, for many resamples at once, some of which may hold no response on a side.
Left out: strategies are chosen problem by problem, so where they move with difficulty, mix and within mistake one for
the other.
"""

import numpy as np
from jaxtyping import Float

from probe.stats.oaxaca import gain_parts

CHANNELS = ("mix", "parse", "within")


def channels(
    before: Float[np.ndarray, "draw strategy kind"], after: Float[np.ndarray, "draw strategy kind"]
) -> Float[np.ndarray, "draw channel"]:
    """CHANNELS of the step from sums of all, parsed and right responses (`kind`) by strategy; units of accuracy.

    nan in a draw that holds no response on one side. BadInput where counts are not 0 <= right <= parsed <= n.
    """
    defined = np.isfinite(before).all((1, 2)) & np.isfinite(after).all((1, 2))
    defined &= (before[..., 0].sum(1) > 0) & (after[..., 0].sum(1) > 0)
    found = np.full((len(before), len(CHANNELS)), np.nan)
    (n0, parsed0, right0), (n1, parsed1, right1) = _counts(before[defined]), _counts(after[defined])
    parts = gain_parts(n0, right0, n1, right1, parsed_before=parsed0, parsed_after=parsed1)
    found[defined] = np.stack([parts[name] for name in CHANNELS], axis=-1)
    return found


def _counts(sums: Float[np.ndarray, "draw strategy kind"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All, parsed and right, as counts that fit: weighted sums round."""
    n, parsed, right = np.moveaxis(sums, -1, 0)
    slack = 1e-9 * (1 + np.abs(n))
    parsed = np.where(parsed <= n + slack, np.minimum(parsed, n), parsed)
    right = np.where(right <= parsed + slack, np.minimum(right, parsed), right)
    return n, parsed, np.where(right >= -slack, np.maximum(right, 0.0), right)
