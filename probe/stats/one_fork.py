"""Where does a reward without information drive a single fork? The smallest model of clipping, simulated.

A policy with one choice, P(mode) = sigmoid(theta). Each batch: n choices, advantages of random rewards normalised in
groups of 16, and eight updates, each on its eighth of the batch, by Adam on the clipped surrogate (2506.10947 §5):

    r = pi / pi_old;   L = -min(r A, clip(r, 1 - eps, 1 + eps) A)

`drift` simulates many runs at once, each beside its antithetic twin. How far a step goes in a real model's logit is not
known, but how far apart its twins end is: `as_noisy` takes the step at which the fork's do, so that `common` predicts
without a free parameter. Left out: everything else a model has: other tokens, shared weights, a length that changes.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
from jaxtyping import Float

from probe.rng import numpy_rng

GROUP, UPDATES = 16, 8
BETAS, TINY = (0.9, 0.95), 1e-8
STEPS, HALVINGS = (1e-4, 1.0), 10  # Adam's step in the logit is looked for between these


@dataclass(frozen=True)
class Fork:
    """One choice under one setting: `clip` None clips nothing; `step` is Adam's, in the logit."""

    prior: float
    clip: float | None
    step: float
    batches: int = 150
    n: int = 512  # choices a batch
    sides: Literal["both", "upper", "lower"] = "both"  # of the clip that act


def drift(fork: Fork, runs: int, seed: int = 0) -> Float[np.ndarray, "run twin"]:
    """P(mode) at the end of each run and of its twin, whose rewards are turned round."""
    rng = numpy_rng("one fork", repr(fork.prior), fork.batches, fork.n, seed)  # the same draws whatever clip and step
    theta = np.full((runs, 2), np.log(fork.prior / (1 - fork.prior)))
    first, second, steps = np.zeros_like(theta), np.zeros_like(theta), 0
    for _ in range(fork.batches):
        old = theta[..., None]
        chose = rng.random((runs, 1, fork.n)) < _sigmoid(old)  # one stream of choices for both
        advantage = _normalised(rng.random((runs, fork.n)) < 0.5)
        both = np.stack([advantage, -advantage], axis=1)
        for rows in np.split(rng.permutation(fork.n), UPDATES):
            gradient = _gradient(theta[..., None], old, chose[..., rows], both[..., rows], fork)
            steps += 1
            first = BETAS[0] * first + (1 - BETAS[0]) * gradient
            second = BETAS[1] * second + (1 - BETAS[1]) * gradient**2
            mean, spread = first / (1 - BETAS[0] ** steps), second / (1 - BETAS[1] ** steps)
            theta = theta + fork.step * mean / (np.sqrt(spread) + TINY)
    return _sigmoid(theta)


def common(fork: Fork, runs: int = 100, seed: int = 0) -> float:
    """Mean over runs of what a run and its twin have in common: their mean P(mode), less the prior."""
    return float(drift(fork, runs, seed).mean() - fork.prior)


@cache
def as_noisy(fork: Fork, apart: float, runs: int = 100, seed: int = 0) -> Fork:
    """The fork with the step at which half the difference of its twins has the root mean square `apart`."""
    low, high = STEPS
    for _ in range(HALVINGS):
        middle = float(np.sqrt(low * high))
        ends = drift(replace(fork, step=middle), runs, seed)
        if np.sqrt(np.mean(((ends[:, 0] - ends[:, 1]) / 2) ** 2)) < apart:
            low = middle
        else:
            high = middle
    return replace(fork, step=float(np.sqrt(low * high)))


def _gradient(theta: np.ndarray, old: np.ndarray, chose: np.ndarray, advantage: np.ndarray, fork: Fork) -> np.ndarray:
    """Of the surrogate (to ascend) in theta: A r d log pi, where the clip lets it through."""
    p, q = _sigmoid(theta), _sigmoid(old)
    ratio = np.where(chose, p / q, (1 - p) / (1 - q))
    slope = np.where(chose, 1 - p, -p)
    open_ = np.ones_like(chose)
    if fork.clip is not None:
        over, under = ratio > 1 + fork.clip, ratio < 1 - fork.clip
        shut = {"both": (over, under), "upper": (over, False), "lower": (False, under)}[fork.sides]
        open_ = ~np.where(advantage > 0, *shut)
    return np.asarray((advantage * ratio * slope * open_).mean(-1))


def _normalised(rewards: np.ndarray) -> np.ndarray:
    """In groups: (r - mean) / sd, 0 where all are alike."""
    groups = rewards.reshape(len(rewards), -1, GROUP).astype(float)
    spread = groups.std(-1, ddof=1, keepdims=True)
    centred = groups - groups.mean(-1, keepdims=True)
    return np.divide(centred, spread, out=np.zeros_like(groups), where=spread > 0).reshape(rewards.shape)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))
