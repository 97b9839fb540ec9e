"""Will a checkpoint respond to a reward, and is it a responder? The rule, fixed before any result was looked at.

Recommended as the forecast of accuracy on new problems (`recommended`):

    informative reward      direct        Cov(A, correct): it says which answer is right, on new problems too
    uninformative reward    by strategy   Cov(A, code) (acc_code - acc_prose): it cannot teach what is right; what it
                                          moves and what carries over to other problems is the way of answering

Cov(A, correct) of an uninformative reward is about its own training prompts. `incorrect` trains where the majority is
wrong, so there it pays against being right whatever it does elsewhere; and every model that at times forgets its box
would "respond" to the format reward. That is repair of the format (H4): it is in the rows of parse_rate, and the direct
form is always in the table, but it makes no responder.

    responds up, down           p after Holm (over the rewards that could teach anything) < .05, at least LEAST in size
    no first-order response     otherwise, where the whole interval lies within -LEAST .. LEAST
    undecided                   otherwise

A checkpoint is a *responder* (what Qwen2.5-Math was and Llama was not) where at least one uninformative reward responds
up; it is none where all of them are decided and none does; else it is undecided.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from probe.data import Estimate

LEVEL = 0.05  # of a verdict, after Holm
LEAST = 0.01  # accuracy per unit of eta: one point, where a unit shifts log-probs by one standard deviation of reward
Z = 1.959964
Form = Literal["direct", "by strategy"]
UP, DOWN, NONE, UNDECIDED = "responds up", "responds down", "no first-order response", "undecided"
RESPONDER, NO_RESPONDER = "responder", "no responder"


@dataclass(frozen=True)
class Reward:
    """What the verdict of a reward rests on: the recommended forecast, and its p after Holm (None: nothing to test)."""

    name: str
    informative: bool
    forecast: Estimate
    p_holm: float | None


def recommended(informative: bool) -> Form:
    """Which form forecasts the accuracy on new problems."""
    return "direct" if informative else "by strategy"


def verdict(reward: Reward) -> str:
    """In words, by the rule above; undecided where there is no number or no interval."""
    value, lo, hi = reward.forecast.value, reward.forecast.lo, reward.forecast.hi
    if not math.isfinite(value):
        return UNDECIDED
    if reward.p_holm is not None and reward.p_holm < LEVEL and abs(value) >= LEAST:
        return UP if value > 0 else DOWN
    return NONE if -LEAST < lo and hi < LEAST else UNDECIDED


def z_score(forecast: Estimate) -> float:
    """The forecast in standard errors, read off its 95 % interval; 0 where it is exactly 0, nan without an interval."""
    half = (forecast.hi - forecast.lo) / 2
    if forecast.value == 0 and half == 0:
        return 0.0
    return Z * forecast.value / half if half > 0 else math.nan


def responder(rewards: Sequence[Reward]) -> tuple[str, list[str]]:
    """The verdict on the checkpoint, and the uninformative rewards that it rests on."""
    spurious = [each for each in rewards if not each.informative]
    up = [each.name for each in spurious if verdict(each) == UP]
    if up:
        return RESPONDER, up
    open_ones = [each.name for each in spurious if verdict(each) == UNDECIDED]
    return (UNDECIDED, open_ones) if open_ones or not spurious else (NO_RESPONDER, [])
