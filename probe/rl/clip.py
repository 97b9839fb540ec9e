"""The clip rule: which tokens still push the policy, and which does clipping stop?

    gain = min(r A, clip(r, 1 - low, 1 + high) A), at A < 0 no less than dual A        r = pi / pi_old

| clipping         | clip_low | clip_high | dual |  clips (gradient 0)                                        |
|------------------|----------|-----------|------|------------------------------------------------------------|
| symmetric        | 0.2      | 0.2       | None |  A > 0 above 1.2, A < 0 below 0.8                          |
| asymmetric       | 0.2      | 0.28      | None |  A > 0 above 1.28, A < 0 below 0.8 (DAPO, 2503.14476)      |
| upper only       | None     | 0.2       | None |  A > 0 above 1.2                                           |
| lower only       | 0.2      | None      | None |  A < 0 below 0.8                                           |
| dual             | 0.2      | 0.2       | 3.0  |  symmetric, and A < 0 above 3 (1912.09729, 2505.07291)     |
| dual alone       | None     | None      | 3.0  |  A < 0 above 3                                             |
| none             | None     | None      | None |  nothing: the ratio still weights each token               |
| old dropped      | surrogate "reinforce"        |  ratio 1 always: the "no clip" of 2506.10947                |
"""

import torch
from torch import Tensor


def clipped_gain(ratio: Tensor, advantage: Tensor, low: float | None, high: float | None, dual: float | None) -> Tensor:
    """The gain per token [batch pos], or [batch 1] where a sequence has one ratio; None: that side never clips."""
    floor = float("-inf") if low is None else 1 - low
    ceiling = float("inf") if high is None else 1 + high
    gain = torch.min(ratio * advantage, ratio.clamp(floor, ceiling) * advantage)
    return gain if dual is None else torch.where(advantage < 0, torch.max(gain, dual * advantage), gain)


def clips(
    ratio: Tensor, advantage: Tensor, low: float | None, high: float | None, dual: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """(low, high, dual): where each bound stops the gradient, [batch pos] or [batch 1]."""
    never = torch.zeros_like(ratio * advantage, dtype=torch.bool)
    below = never if low is None else (ratio < 1 - low) & (advantage < 0)
    above = never if high is None else (ratio > 1 + high) & (advantage > 0)
    return below, above, never if dual is None else (ratio > dual) & (advantage < 0)
