"""Through which channel did accuracy change in one step: strategy mix, parse rate, or accuracy within strategies?

With s_k the share of strategy k, p_k the share of its responses that parse and a_k the accuracy of those that do,
accuracy = sum_k s_k p_k a_k. At the midpoint (D after - before, bar the mean of both sides):

    mix = sum Ds bar(p a)      parse = sum bar(s) Dp bar(a)      within = sum bar(s) bar(p) Da

which sum to the change exactly; swapping the sides flips every sign. A rate that one side has no responses for is given
the other side's, 0 where neither has any. Source: Kitagawa (1955), Oaxaca (1973). Left out: strategies are chosen
problem by problem, so where they move with difficulty, mix and within mistake one for the other.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from probe.errors import BadInput

CHANNELS = ("mix", "parse", "within")


def channels(
    before: Float[np.ndarray, "draw strategy kind"], after: Float[np.ndarray, "draw strategy kind"]
) -> Float[np.ndarray, "draw channel"]:
    """CHANNELS of the step from sums of all, parsed and right responses (`kind`) by strategy; units of accuracy."""
    (n0, parsed0, right0), (n1, parsed1, right1) = np.moveaxis(before, -1, 0), np.moveaxis(after, -1, 0)
    parts = nested_parts(n0, right0, n1, right1, parsed_before=parsed0, parsed_after=parsed1)
    return np.stack([parts[name] for name in CHANNELS], axis=-1)


def nested_parts(
    n_before: ArrayLike,
    right_before: ArrayLike,
    n_after: ArrayLike,
    right_after: ArrayLike,
    *,
    parsed_before: ArrayLike | None = None,
    parsed_after: ArrayLike | None = None,
) -> dict[str, Float[np.ndarray, "*batch"]]:
    """CHANNELS and their total, each `[...]`, from counts `[..., strategy]`; `parsed_*` None: all parse.

    BadInput where a side's counts are not 0 <= right <= parsed <= n. nan where a side has no response at all.
    """
    share0, parse0, hit0 = _rates(n_before, n_before if parsed_before is None else parsed_before, right_before)
    share1, parse1, hit1 = _rates(n_after, n_after if parsed_after is None else parsed_after, right_after)
    parse0, parse1 = _filled(parse0, parse1), _filled(parse1, parse0)
    hit0, hit1 = _filled(hit0, hit1), _filled(hit1, hit0)
    share, parse, hit = (share0 + share1) / 2, (parse0 + parse1) / 2, (hit0 + hit1) / 2
    parts = {
        "mix": ((share1 - share0) * (parse0 * hit0 + parse1 * hit1) / 2).sum(-1),
        "parse": (share * (parse1 - parse0) * hit).sum(-1),
        "within": (share * parse * (hit1 - hit0)).sum(-1),
    }
    return parts | {"total": (share1 * parse1 * hit1 - share0 * parse0 * hit0).sum(-1)}


def _rates(n: ArrayLike, parsed: ArrayLike, right: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares, parse rates and accuracies of the parsed `[..., strategy]`; nan where there is nothing to divide by."""
    size, read, hits = (np.asarray(counts, dtype=np.float64) for counts in (n, parsed, right))
    slack = 1e-9 * (1 + np.abs(size))  # weighted sums round
    if ((hits < -slack) | (hits > read + slack) | (read > size + slack)).any():  # nan: an undefined resample
        raise BadInput("counts do not fit one another", where="channels", do="give 0 <= right <= parsed <= n")
    return _over(size, size.sum(-1, keepdims=True)), _over(read, size), _over(hits, read)


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    top, bottom = np.broadcast_arrays(top, bottom)
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def _filled(rates: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(rates), rates, np.where(np.isfinite(other), other, 0.0))
