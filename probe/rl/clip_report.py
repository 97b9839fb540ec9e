"""How often does clipping stop a gradient, on which side, and for tokens of which old probability?"""

import itertools
from typing import Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.rl.clip import clips
from probe.rl.loss import Loss, check_batch, ratio_of
from probe.rl.policy import valid
from probe.rl.rollout import Experience

PI_OLD_EDGES = (0.0, 0.1, 0.5, 1 / 1.2, 1.0)  # above 1 / 1.2 the upper edge of a clip at .2 cannot be reached


class Report(Protocol):
    """What one update says of itself, beside loss and gradient: `logprob` [batch pos] of `rows` before its step."""

    def __call__(self, experience: Experience, rows: Tensor, logprob: Tensor, loss: Loss) -> dict[str, float]: ...


def clipped(experience: Experience, rows: Tensor, logprob: Tensor, loss: Loss) -> dict[str, float]:
    """Where clipping acts, over all tokens of these rows."""
    samples, advantage = experience.samples, experience.advantages.value[rows]
    return clip_report(logprob, samples.logprob[rows], advantage, valid(samples, rows), loss)


@torch.no_grad()
def clip_report(
    logprob: Float[Tensor, "batch pos"],
    old_logprob: Float[Tensor, "batch pos"],
    advantage: Float[Tensor, " batch"] | Float[Tensor, "batch pos"],
    mask: Bool[Tensor, "batch pos"],
    loss: Loss,
    edges: tuple[float, ...] = PI_OLD_EDGES,
) -> dict[str, float]:
    """How often does clipping stop a gradient, on which side, and for tokens of which old probability?

    All under `clip_ratio/`: TRL's `{low,high,region}_mean` (a share of tokens; of sequences where the ratio is per
    sequence), `dual_mean` (A < 0 beyond the dual bound), and per bin (a, b] of pi_old
    `low/pi_old_a_b`, `high/pi_old_a_b` (shares of the bin's tokens) and `count/pi_old_a_b`. An empty bin has a count of
    0 and no shares. The clip bias of 2506.10947 needs all of it.
    """
    check_batch(logprob, {"old_logprob": old_logprob, "mask": mask}, advantage)
    old_logprob = old_logprob.where(mask, 0.0)
    advantage = advantage[:, None] if advantage.ndim == 1 else advantage.where(mask, 0.0)
    ratio = ratio_of(logprob.where(mask, 0.0) - old_logprob, mask, loss)
    low, high, dual = _flags(ratio, advantage, loss)
    weight = torch.ones_like(mask[:, :1]) if loss.ratio == "sequence" and low.shape[1] == 1 else mask
    total = max(1, int(weight.sum()))
    sides = {"low": low, "high": high, "region": low | high, "dual": dual}
    report = {f"clip_ratio/{side}_mean": int((flag & weight).sum()) / total for side, flag in sides.items()}
    place = torch.bucketize(old_logprob.exp(), old_logprob.new_tensor(edges[1:-1]))
    for index, (start, end) in enumerate(itertools.pairwise(edges)):
        inside = mask & (place == index)
        count, name = int(inside.sum()), f"pi_old_{start:.4g}_{end:.4g}"
        report[f"clip_ratio/count/{name}"] = count
        if count:
            report |= {f"clip_ratio/{s}/{name}": int((sides[s] & inside).sum()) / count for s in ("low", "high")}
    return report


def _flags(ratio: Tensor, advantage: Tensor, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
    """(low, high, dual): where this surrogate's gradient is cut, [batch pos] or [batch 1]."""
    if loss.surrogate == "clip":
        return clips(ratio, advantage, loss.clip_low, loss.clip_high, loss.dual)
    never = torch.zeros_like(ratio * advantage, dtype=torch.bool)
    capped = (ratio > loss.cispo_max) & (advantage > 0)
    return never, capped if loss.surrogate == "cispo" else never, never
