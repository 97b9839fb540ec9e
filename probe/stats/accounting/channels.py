"""Through which channel did accuracy change in one step: strategy mix, parse rate, or accuracy within strategies?

With s the share of a strategy, p its parse rate, a the accuracy of what could be read (0 before, 1 after, D after -
before, bar the mean of both sides):

    mix = sum Ds p0 a0        parse = sum s1 Dp bar(a)        within = sum s1 bar(p) Da

They sum to the change exactly. A move is worth what the strategies were worth *before*: that is the claim of a strategy
prior, and its response law (`probe.stats.response_law`). What a strategy became better at counts within it, for as much
as it is used after. `probe.stats.oaxaca` weighs both sides alike instead: there the last few responses of a strategy
that RL gave up decide half of its worth, and a verdict must not rest on them. A strategy absent on one side is given
the other's rates, so that all it brings is mix. Many resamples at once, some of which may hold no response.
Left out: strategies are chosen problem by problem, so where they move with difficulty, mix and within mistake one for
the other.
"""

import numpy as np
from jaxtyping import Float

from probe.errors import BadInput

CHANNELS = ("mix", "parse", "within")
Rates = tuple[np.ndarray, np.ndarray, np.ndarray]


def channels(
    before: Float[np.ndarray, "draw strategy kind"], after: Float[np.ndarray, "draw strategy kind"]
) -> Float[np.ndarray, "draw channel"]:
    """CHANNELS of the step from sums of all, parsed and right responses (`kind`) by strategy; units of accuracy.

    nan in a draw that holds no response on one side. BadInput where counts are not 0 <= right <= parsed <= n.
    """
    defined = np.isfinite(before).all((1, 2)) & np.isfinite(after).all((1, 2))
    defined &= (before[..., 0].sum(1) > 0) & (after[..., 0].sum(1) > 0)
    found = np.full((len(before), len(CHANNELS)), np.nan)
    (share0, parse0, right0), (share1, parse1, right1) = _rates(before[defined]), _rates(after[defined])
    parse0, parse1 = _fill(parse0, parse1), _fill(parse1, parse0)
    right0, right1 = _fill(right0, right1), _fill(right1, right0)
    mix = (share1 - share0) * parse0 * right0
    parse = share1 * (parse1 - parse0) * (right0 + right1) / 2
    within = share1 * (parse0 + parse1) / 2 * (right1 - right0)
    found[defined] = np.stack([mix.sum(-1), parse.sum(-1), within.sum(-1)], axis=-1)
    return found


def _rates(sums: Float[np.ndarray, "draw strategy kind"]) -> Rates:
    """Share, parse rate and accuracy of what was read, by strategy; nan where there is none."""
    n, parsed, right = _counts(sums)
    return n / n.sum(-1, keepdims=True), _over(parsed, n), _over(right, parsed)


def _counts(sums: Float[np.ndarray, "draw strategy kind"]) -> Rates:
    """All, parsed and right, as counts that fit: weighted sums round."""
    n, parsed, right = np.moveaxis(sums, -1, 0)
    slack = 1e-9 * (1 + np.abs(n))
    if not ((right >= -slack) & (right <= parsed + slack) & (parsed <= n + slack)).all():
        do = "count responses, those that were read among them, and those that were right among these"
        raise BadInput("counts are not 0 <= right <= parsed <= n", where="channels", do=do)
    parsed = np.minimum(parsed, n)
    return n, parsed, np.clip(right, 0.0, parsed)


def _fill(rate: np.ndarray, other: np.ndarray) -> np.ndarray:
    """A rate that one side does not have is the other's; one that neither has is 0."""
    return np.nan_to_num(np.where(np.isnan(rate), other, rate))


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)
