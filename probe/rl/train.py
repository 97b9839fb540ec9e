"""GRPO on one page: sample a batch, score it, make several updates on it, log, save; again.

    for each batch:  collect  ->  (updates x: loss, step)  ->  log  ->  now and then: save

The clip acts only because there are several updates per rollout batch (with one, the ratio is 1 throughout). Old
log-probs are those captured while sampling. Everything random is addressed by (seed, batch, ...), and state is saved
atomically, each file with its digest, so a killed run resumes and ends with the same bits. Deleted from GRPO as it is
usually shipped: the reference model in the loss (kl_beta = 0 unless asked), the second forward for old log-probs, left
padding.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from probe.errors import BadInput, ProbeError
from probe.models.loading.organism import MAX_NEW_TOKENS, untie
from probe.models.sampling.residual_bias import give_biases
from probe.rewards import Reward
from probe.rewards.compose import spec as reward_spec
from probe.rl import advantage as advantages
from probe.rl.advantage import Advantage, GroupNormalised
from probe.rl.clip_report import Report, clipped
from probe.rl.faults import full_memory_told
from probe.rl.gradient import captured_gap, cut, part_loss
from probe.rl.kept import METRICS, STATE, Keeper, Overlays, read_metrics, resume, save_state
from probe.rl.loss import Loss
from probe.rl.metrics import GAP, kl_to_base, mean_rows, rollout_metrics
from probe.rl.policy import HEAD, Policy, Scorer, Trainable, build_policy, check_trainable
from probe.rl.rollout import Experience, Question, Reader, collect, draw_questions
from probe.rng import torch_rng

__all__ = ["GRPO", "METRICS", "STATE", "Logger", "load_overlay", "read_metrics", "train", "train_policy", "update"]
OVERLAYS = Overlays()
Learner = TypeVar("Learner", bound=Policy)


class Logger(Protocol):
    """Where metrics also go, next to the JSONL: tensorboard, wandb, a progress bar."""

    def __call__(self, batch: int, metrics: dict[str, float]) -> None: ...


@dataclass(frozen=True)
class GRPO:
    """The recipe of a run. Every field can change a number, so every field is part of the run's identity.

    The paper's values (2506.10947), scaled to organisms: 64 x 16 rollouts became 32 x 16, lr 5e-7 became `lr`.
    """

    reward: Reward
    advantage: Advantage = field(default_factory=GroupNormalised)
    loss: Loss = field(default_factory=lambda: Loss(dual=3.0))
    trainable: Trainable = "head"
    lr: float = 3e-3
    betas: tuple[float, float] = (0.9, 0.95)
    batches: int = 30
    prompts: int = 32  # per rollout batch
    samples: int = 16  # per prompt: the group
    updates: int = 8  # optimiser steps per rollout batch
    grad_norm: float = 1.0
    temperature: float = 1.0
    max_new: int = MAX_NEW_TOKENS
    save_every: int = 10  # batches
    seed: int = 0
    drawn_weight_cap: float | None = (
        None  # where another engine samples: largest pi_old / pi_engine a token is weighed by
    )

    def __post_init__(self) -> None:
        for name in ("batches", "prompts", "samples", "updates", "max_new", "save_every"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} is {getattr(self, name)}", where="GRPO", do="give a whole number >= 1")
        capped = ("drawn_weight_cap",) if self.drawn_weight_cap is not None else ()
        for name in ("lr", "grad_norm", "temperature", *capped):
            if not 0 < getattr(self, name) < float("inf"):
                raise BadInput(f"{name} is {getattr(self, name)}", where="GRPO", do="give a finite number > 0")
        check_trainable(self.trainable)
        if (self.prompts * self.samples) % self.updates:
            raise BadInput(
                f"{self.prompts} x {self.samples} rollouts do not split into {self.updates} updates",
                where="GRPO",
                do="make updates a divisor of prompts x samples",
            )

    def spec(self) -> dict[str, Any]:
        """Plain JSON: what a run's digest is made of."""
        plain = {k: v for k, v in vars(self).items() if k not in ("reward", "advantage", "loss", "betas")}
        if self.drawn_weight_cap is None:
            plain.pop("drawn_weight_cap")  # came later: recipes of before stay what they were
        return plain | {
            "betas": list(self.betas),
            "reward": reward_spec(self.reward),
            "advantage": advantages.spec(self.advantage),
            "loss": asdict(self.loss),
        }


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pool: list[Question],
    recipe: GRPO,
    out: Path,
    *,
    log: Logger = lambda batch, metrics: None,
    report: Report = clipped,
) -> Policy:
    """Run the recipe, leaving `metrics.jsonl` and `step-<n>.safetensors` (trained tensors only) in `out`.

    Resumes from `out` if an earlier call was killed there. A loss or gradient that is not finite ends the run as a
    ProbeError before it reaches the weights; what was saved before stays.
    """
    policy, base = build_policy(model, recipe.trainable), build_policy(model, recipe.trainable)
    return train_policy(policy, base, tokenizer, pool, recipe, out, log=log, report=report)


def train_policy(
    policy: Learner,
    base: Policy | Scorer | None,
    reader: PreTrainedTokenizerBase | Reader,
    pool: list[Question],
    recipe: GRPO,
    out: Path,
    *,
    keeper: Keeper = OVERLAYS,
    log: Logger = lambda batch, metrics: None,
    report: Report = clipped,
) -> Learner:
    """The same of any policy, whose steps `keeper` writes; without `base` no divergence from it is logged."""
    optimizer = torch.optim.Adam(policy.tensors.values(), lr=recipe.lr, betas=recipe.betas)
    start = resume(policy, optimizer, out, recipe.save_every, keeper)
    for batch in range(start, recipe.batches):
        asked = draw_questions(pool, recipe.prompts, recipe.seed, batch)
        experience = collect(
            policy,
            asked,
            reader,
            recipe.reward,
            recipe.advantage,
            n_samples=recipe.samples,
            max_new=recipe.max_new,
            temperature=recipe.temperature,
            seed=recipe.seed,
            batch=batch,
        )
        order = torch.randperm(len(experience.texts), generator=torch_rng("minibatches", recipe.seed, batch))
        updates = [
            update(policy, base, optimizer, experience, rows, recipe, report) for rows in order.chunk(recipe.updates)
        ]
        metrics = rollout_metrics(experience) | update_metrics(updates)
        if base is not None:
            with full_memory_told("the KL to the base", batch):
                metrics["kl"] = kl_to_base(policy, base, experience, recipe.temperature)
        _log(out, batch, metrics, log)
        if (batch + 1) % recipe.save_every == 0 or batch + 1 == recipe.batches:
            save_state(policy, optimizer, out, batch + 1, keeper)
    return policy


def update(
    policy: Policy,
    base: Policy | Scorer | None,
    optimizer: torch.optim.Optimizer,
    experience: Experience,
    rows: torch.Tensor,
    recipe: GRPO,
    report: Report = clipped,
) -> dict[str, float]:
    """One optimiser step on `rows` (row indices of the experience); returns what clipping and the gradient did."""
    rows = rows[experience.advantages.keep[rows]]
    if len(rows) == 0:
        return {"loss": 0.0, "grad_norm": 0.0}
    loss, logprobs, where = 0.0, [], f"GRPO, batch {experience.batch}"
    optimizer.zero_grad(set_to_none=True)
    with full_memory_told("an update", experience.batch):
        parts, whole = cut(policy, experience, rows, recipe)
        for part in parts:
            value, logprob = part_loss(policy, base, experience, part, recipe, whole)
            if not value.isfinite():
                do = "lower lr, or keep dual clipping on; what was kept before stays"
                raise ProbeError(f"the loss became {value.item()}", where=where, do=do)
            value.backward()
            loss += value.item()
            logprobs.append(logprob.detach())
        if not parts:  # no advantage anywhere: the step is that of Adam's moments
            for p in policy.tensors.values():
                p.grad = torch.zeros_like(p)
        norm = torch.nn.utils.clip_grad_norm_(policy.tensors.values(), recipe.grad_norm)
        if not norm.isfinite():  # the clipped gradient is NaN then, and the weights would be
            do = "lower lr; what was kept before stays"
            raise ProbeError(f"the gradient's norm became {norm.item()}", where=where, do=do)
        optimizer.step()
    said = {"loss": loss, "grad_norm": norm.item()}
    if not parts:
        return said
    rows, logprob = torch.cat(parts), torch.cat(logprobs)
    gap = captured_gap(experience, rows, logprob) if whole else {}
    return {**said, **report(experience, rows, logprob, recipe.loss), **gap}


def update_metrics(updates: list[dict[str, float]]) -> dict[str, float]:
    """Means over the inner updates, and the clip fraction of each of them: it is 0 in the first by construction.

    What sampler and forward differ by is that of the first: in later ones the policy has moved.
    """
    region = "clip_ratio/region_mean"
    by_update = {f"{region}/update_{i}": row[region] for i, row in enumerate(updates) if region in row}
    gap = {key: value for key, value in updates[0].items() if key.startswith(GAP)}
    plain = [{key: value for key, value in row.items() if not key.startswith(GAP)} for row in updates]
    return mean_rows(plain) | by_update | gap


def load_overlay(model: PreTrainedModel, path: Path) -> PreTrainedModel:
    """Put a run's trained tensors into its base, in place. Unknown names or shapes, or no such file, are a BadInput."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as err:
        raise BadInput(f"cannot read trained tensors: {err}", where=str(path), do="make the run again") from err
    return apply_overlay(model, tensors, str(path))


def apply_overlay(model: PreTrainedModel, tensors: Mapping[str, torch.Tensor], where: str) -> PreTrainedModel:
    """Put trained tensors, by their names in the checkpoint, into a base, in place. BadInput where they do not fit."""
    give_biases(model, tensors)
    known = dict(model.named_parameters()) | {HEAD: model.lm_head.weight}  # a tied head has no name of its own
    for name, tensor in tensors.items():
        if name not in known or known[name].shape != tensor.shape:
            do = "load it into the base that the run started from"
            raise BadInput(f"{name} {list(tensor.shape)} does not fit this base", where=where, do=do)
    if HEAD in tensors:
        untie(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in tensors:
                parameter.copy_(tensors[name])
    return model


def _log(out: Path, batch: int, metrics: dict[str, float], log: Logger) -> None:
    with (out / METRICS).open("a") as file:
        file.write(json.dumps({"batch": batch, **metrics}) + "\n")
    log(batch, metrics)
