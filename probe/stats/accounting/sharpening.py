"""How would the base answer if it were as sure of its tokens as the model after RL, and nothing else had changed? (H2)

The base is sampled at a ladder of falling temperatures T_0 > T_1 > ... (0 is greedy, of entropy 0), its own among them.
Its place on the ladder is where its mean token entropy h equals that of the model after RL, interpolated linearly:

    place = sum_i clip((h_i - h_after) / (h_i - h_{i+1}), 0, 1)        answers = (1 - w) rung_i + w rung_{i+1}

Entropies are compared strategy by strategy, with the same weights on both sides (the mean of their shares of tokens):
otherwise a move to the strategy with the surer tokens would look like sharpening. Where no strategy is used everywhere,
all tokens are compared together. Cross-fitted: the place found on one
half of the problems is used on the other. A model that RL made less sure is matched by hotter rungs; beyond either end
the end is taken. Source: 2512.16912 (claim). Left out: sharpening of some tokens alone.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from probe.stats.accounting.arms import Arm, summed

Sums = Float[np.ndarray, "draw strategy two"]


def sharpened(
    weights: Float[np.ndarray, "draw problem"],
    rungs: Sequence[Arm],
    base: Arm,
    after: Arm,
    half: Int[np.ndarray, "problem"],
) -> Float[np.ndarray, "draw strategy kind"]:
    """Summed shares of the base at the place that fits; `rungs` from the hottest down, `base` one of them.

    nan where no entropy can be compared. Every arm but a greedy rung needs `nats`; a rung without is taken as greedy.
    """
    found = 0.0
    for mine in (0, 1):
        there = place(weights * (half != mine), rungs, base, after)
        parts = [summed(weights * (half == mine), rung.shares) for rung in rungs]
        shares = [np.clip(1 - np.abs(there - i), 0, 1)[:, None, None] for i in range(len(rungs))]
        found = found + sum(share * part for share, part in zip(shares, parts, strict=True))
    return np.asarray(found)


def place(
    weights: Float[np.ndarray, "draw problem"], rungs: Sequence[Arm], base: Arm, after: Arm
) -> Float[np.ndarray, "draw"]:
    """Where between the rungs (0 the first) the base is as sure as the model after RL, on each resample."""
    first, last = _sums(weights, base), _sums(weights, after)
    sums = [_sums(weights, rung) if rung.nats is not None else None for rung in rungs]
    known = [each for each in sums if each is not None]
    usable = np.all([each[..., 1] > 0 for each in (*known, last)], axis=0)
    tokens = [np.where(usable, each[..., 1], 0.0) for each in (first, last)]
    share = sum(_over(each, each.sum(-1, keepdims=True)) for each in tokens) / 2

    def entropy(each: Sums | None) -> np.ndarray:
        if each is None:  # greedy
            return np.zeros(len(weights))
        inside = (share * np.where(usable, _over(each[..., 0], each[..., 1]), 0.0)).sum(-1)
        return np.where(usable.any(-1), inside, _over(each[..., 0].sum(-1), each[..., 1].sum(-1)))

    ladder, wanted = np.minimum.accumulate(np.stack([entropy(each) for each in sums]), axis=0), entropy(last)
    drop, need = ladder[:-1] - ladder[1:], ladder[:-1] - wanted
    steps = np.where(drop > 0, np.clip(_over(need, drop), 0, 1), (need > 0).astype(float))
    return np.where(np.isfinite(ladder[0] + wanted), steps.sum(0), np.nan)


def _sums(weights: Float[np.ndarray, "draw problem"], one: Arm) -> Sums:
    assert one.nats is not None
    return summed(weights, one.nats)


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    top, bottom = np.broadcast_arrays(top, bottom)
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
