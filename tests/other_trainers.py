"""The policy losses of TRL 1.16 and verl 0.9, written down from their sources as functions of their own settings."""

from typing import Any

import torch
from torch import Tensor


def trl_loss(config: dict[str, Any], x: dict[str, Tensor]) -> Tensor:
    """GRPOTrainer._compute_loss of one update on one process; `x` as the golden file has it."""
    logprob, mask, advantage = x["logprob"], x["mask"].to(x["logprob"]), x["advantage"][:, None]
    log_ratio = logprob - x["old"]
    weights = log_ratio
    if config["importance_sampling_level"] == "sequence":
        weights = ((log_ratio * mask).sum(-1) / mask.sum(-1).clamp(min=1.0))[:, None]
    one, kind = weights.exp(), config["loss_type"]
    kl = (x["reference"] - logprob).exp() - (x["reference"] - logprob) - 1
    kl = kl * one if config["use_bias_correction_kl"] else kl
    if kind == "cispo":
        loss = -one.clamp(max=config["epsilon_high"]).detach() * advantage * logprob
    elif kind == "sapo":
        heat = torch.where(advantage > 0, config["sapo_temperature_pos"], config["sapo_temperature_neg"])
        loss = -torch.sigmoid(heat * (one - 1)) * 4 / heat * advantage
    else:
        two = one.clamp(1 - config.get("epsilon", 0.2), 1 + config.get("epsilon_high", 0.2))
        one = one if config.get("delta") is None else one.clamp(max=config["delta"])
        loss = -torch.min(one * advantage, two * advantage)
    if config["top_entropy_quantile"] < 1:
        cut = torch.quantile(x["entropy"][x["mask"]].float(), 1 - config["top_entropy_quantile"])
        loss = loss * (x["entropy"].float() >= cut)
    loss = loss + config["beta"] * kl
    match kind:
        case "grpo" | "sapo":
            return ((loss * mask).sum(-1) / mask.sum(-1).clamp(min=1.0)).mean()
        case "bnpo" | "cispo":  # cispo of one update: all tokens of the generation batch are its own
            return (loss * mask).sum() / mask.sum()
        case "dr_grpo":
            return (loss * mask).sum() / (len(loss) * config["max_completion_length"])
        case "luspo":
            return (loss * mask).sum(-1).mean()
    raise AssertionError(kind)


def trl_advantages(config: dict[str, Any], rewards: list[list[float]]) -> Tensor:
    """From what each reward function gave, rows by functions, in fp32; groups one behind the other."""
    table = torch.tensor(rewards, dtype=torch.float32) * torch.tensor(config["reward_weights"])
    grouped = table.nansum(1).view(-1, config["num_generations"])
    found = grouped - grouped.mean(1, keepdim=True)
    scaled = config["scale_rewards"] == "group"
    return (found / (grouped.std(1, keepdim=True) + 1e-4) if scaled else found).flatten()


def verl_loss(config: dict[str, Any], x: dict[str, Tensor]) -> Tensor:
    """compute_policy_loss_vanilla and agg_loss of one mini batch on one process."""
    actor = {key.removeprefix("actor_rollout_ref.actor."): value for key, value in config.items()}
    mask, advantage = x["mask"].to(x["logprob"]), x["advantage"][:, None]
    ratio = (x["logprob"] - x["old"]).clamp(-20.0, 20.0).exp()
    one = -advantage * ratio
    two = -advantage * ratio.clamp(1 - actor["clip_ratio_low"], 1 + actor["clip_ratio_high"])
    clipped = torch.maximum(one, two)
    loss = torch.where(advantage < 0, torch.min(-advantage * actor["clip_ratio_c"], clipped), clipped)
    if actor["use_kl_loss"]:
        gap = (x["reference"] - x["logprob"]).clamp(-20, 20)
        loss = loss + actor["kl_loss_coef"] * (gap.exp() - gap - 1).clamp(-10, 10)
    tokens = mask.sum(-1)
    match actor["loss_agg_mode"]:
        case "token-mean":
            return (loss * mask).sum() / mask.sum()
        case "seq-mean-token-mean":
            return ((loss * mask).sum(-1) / (tokens + 1e-8)).sum() / len(loss)
        case "seq-mean-token-sum":
            return (loss * mask).sum(-1).sum() / len(loss)
        case "seq-mean-token-sum-norm":
            return (loss * mask).sum(-1).sum() / len(loss) / actor["loss_scale_factor"]
    raise AssertionError(actor["loss_agg_mode"])
