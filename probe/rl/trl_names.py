"""Where do dashboards of TRL's GRPOTrainer show what we log? Under these names, against the count of optimiser steps.

Both sides measure the same thing under each name, in TRL 1.16: `reward` and `reward_std` over responses (ddof 1),
`entropy` in nats a token, shares of tokens for `clip_ratio/*`, tokens for lengths; over the updates of a batch, means.
One differs: `kl` is summed over the vocabulary here, and k3 on the tokens drawn there, which logs it only where beta is
not 0. transformers' callbacks put "train/" before each name (`rewrite_logs`); the reward's function is called `reward`
in what `probe export trl` writes. Left out: what TRL alone logs (`step_time`, `num_tokens`, lengths of the shortest and
longest, extremes of clipping over processes).
"""

from collections.abc import Mapping

PREFIX = "train/"
STEP = PREFIX + "global_step"
GAP = "sampling/sampling_logp_difference"
NAMES: dict[str, tuple[str, ...]] = {  # ours: theirs
    "loss": ("loss",),
    "grad_norm": ("grad_norm",),
    "reward": ("reward", "rewards/reward/mean"),
    "reward_std": ("reward_std", "rewards/reward/std"),
    "frac_reward_zero_std": ("frac_reward_zero_std",),
    "kl": ("kl",),
    "entropy": ("entropy",),
    "completions/mean_length": ("completions/mean_length",),
    "completions/clipped_ratio": ("completions/clipped_ratio",),
    "clip_ratio/low_mean": ("clip_ratio/low_mean",),
    "clip_ratio/high_mean": ("clip_ratio/high_mean",),
    "clip_ratio/region_mean": ("clip_ratio/region_mean",),
    f"{GAP}/mean": (f"{GAP}/mean",),
    f"{GAP}/max": (f"{GAP}/max",),
}


def under_trl_names(batch: int, metrics: Mapping[str, float], updates: int, lr: float) -> dict[str, float]:
    """The metrics of one batch (from 0) as a callback of transformers would name them, with their optimiser step."""
    found = {PREFIX + name: metrics[ours] for ours, theirs in NAMES.items() if ours in metrics for name in theirs}
    return found | {f"{PREFIX}learning_rate": lr, STEP: float((batch + 1) * updates)}
