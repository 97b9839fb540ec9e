"""Where does a reward without information drive a single fork? The smallest model of clipping, simulated.

A policy with one choice, P(mode) = sigmoid(theta). Each batch: n choices, advantages of random rewards normalised in
groups of 16, and eight updates, each on its eighth of the batch, by Adam on the clipped surrogate (2506.10947 §5):

    r = pi / pi_old;   L = -min(r A, clip(r, 1 - eps, 1 + eps) A)

`drift` simulates many runs at once, each beside its antithetic twin. Left out: everything else a model has: other
tokens, shared weights, a length that changes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from probe.rng import numpy_rng

GROUP, UPDATES = 16, 8
BETAS, TINY = (0.9, 0.95), 1e-8


@dataclass(frozen=True)
class Fork:
    """One choice under one setting: `clip` None clips nothing; `step` is Adam's, in the logit."""

    prior: float
    clip: float | None
    step: float
    batches: int = 150
    n: int = 512  # choices a batch


def drift(fork: Fork, runs: int, seed: int = 0) -> Float[np.ndarray, "run twin"]:
    """P(mode) at the end of each run and of its twin, whose rewards are turned round."""
    rng = numpy_rng("one fork", repr(fork), seed)
    theta = np.full((runs, 2), np.log(fork.prior / (1 - fork.prior)))
    first, second, steps = np.zeros_like(theta), np.zeros_like(theta), 0
    for _ in range(fork.batches):
        old = theta[..., None]
        chose = rng.random((runs, 1, fork.n)) < _sigmoid(old)  # one stream of choices for both
        advantage = _normalised(rng.random((runs, fork.n)) < 0.5)
        both = np.stack([advantage, -advantage], axis=1)
        for rows in np.split(rng.permutation(fork.n), UPDATES):
            gradient = _gradient(theta[..., None], old, chose[..., rows], both[..., rows], fork.clip)
            steps += 1
            first = BETAS[0] * first + (1 - BETAS[0]) * gradient
            second = BETAS[1] * second + (1 - BETAS[1]) * gradient**2
            mean, spread = first / (1 - BETAS[0] ** steps), second / (1 - BETAS[1] ** steps)
            theta = theta + fork.step * mean / (np.sqrt(spread) + TINY)
    return _sigmoid(theta)


def _gradient(
    theta: np.ndarray, old: np.ndarray, chose: np.ndarray, advantage: np.ndarray, clip: float | None
) -> np.ndarray:
    """Of the surrogate (to ascend) in theta: A r d log pi, where the clip lets it through."""
    p, q = _sigmoid(theta), _sigmoid(old)
    ratio = np.where(chose, p / q, (1 - p) / (1 - q))
    slope = np.where(chose, 1 - p, -p)
    open_ = np.ones_like(chose)
    if clip is not None:
        open_ = np.where(advantage > 0, ratio <= 1 + clip, ratio >= 1 - clip)
    return np.asarray((advantage * ratio * slope * open_).mean(-1))


def _normalised(rewards: np.ndarray) -> np.ndarray:
    """In groups: (r - mean) / sd, 0 where all are alike."""
    groups = rewards.reshape(len(rewards), -1, GROUP).astype(float)
    spread = groups.std(-1, ddof=1, keepdims=True)
    centred = groups - groups.mean(-1, keepdims=True)
    return np.divide(centred, spread, out=np.zeros_like(groups), where=spread > 0).reshape(rewards.shape)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))
