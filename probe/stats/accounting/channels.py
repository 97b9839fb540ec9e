"""Through which channel did accuracy change in one step: strategy mix, parse rate, or accuracy within strategies?

With s the share of a strategy, p its parse rate, a the accuracy of what could be read (D after - before, bar the mean
of both sides, h the harmonic mean of both shares, r = (s0 p0 a0 + s1 p1 a1) / (s0 + s1) its pooled accuracy):

    mix = sum Ds r        parse = sum h Dp bar(a)        within = sum h bar(p) Da

They sum to the change exactly, and swapping the sides flips every sign, like `probe.stats.oaxaca`. That one weighs both
sides of a strategy alike; here a strategy that RL all but gave up is taken at the accuracy it had, for that of its few
last responses is noise, and a verdict must not rest on it. Many resamples at once, some of which may hold no response.
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
    both = share0 + share1
    pooled = _over(share0 * parse0 * right0 + share1 * parse1 * right1, both)
    shared = 2 * _over(share0 * share1, both)
    mix = (share1 - share0) * np.nan_to_num(pooled)
    parse = np.nan_to_num(shared) * (parse1 - parse0) * (right0 + right1) / 2
    within = np.nan_to_num(shared) * (parse0 + parse1) / 2 * (right1 - right0)
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
