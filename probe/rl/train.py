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
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from probe.errors import BadInput, ProbeError
from probe.models.loading.organism import MAX_NEW_TOKENS, untie
from probe.models.sampling.residual_bias import give_biases
from probe.rewards import Reward
from probe.rewards.compose import spec as reward_spec
from probe.rl import advantage as advantages
from probe.rl.advantage import Advantage, GroupNormalised
from probe.rl.clip_report import Report, clipped
from probe.rl.loss import Loss, normalised_over, policy_loss
from probe.rl.metrics import kl_to_base, mean_rows, rollout_metrics
from probe.rl.policy import HEAD, Policy, Trainable, build_policy, check_trainable, valid
from probe.rl.rollout import Experience, Question, collect, draw_questions, score
from probe.rng import torch_rng
from probe.store import is_kept, keep, keep_log
from probe.store.unfinished import forget, set_aside

METRICS, STATE = "metrics.jsonl", "scratch/state.safetensors"


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

    def __post_init__(self) -> None:
        for name in ("batches", "prompts", "samples", "updates", "max_new", "save_every"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} is {getattr(self, name)}", where="GRPO", do="give a whole number >= 1")
        for name in ("lr", "grad_norm", "temperature"):
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
    optimizer = torch.optim.Adam(policy.tensors.values(), lr=recipe.lr, betas=recipe.betas)
    start = _resume(policy, optimizer, out, recipe.save_every)
    for batch in range(start, recipe.batches):
        asked = draw_questions(pool, recipe.prompts, recipe.seed, batch)
        experience = collect(
            policy,
            asked,
            tokenizer,
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
        metrics["kl"] = kl_to_base(policy, base, experience, recipe.temperature)
        _log(out, batch, metrics, log)
        if (batch + 1) % recipe.save_every == 0 or batch + 1 == recipe.batches:
            _save(policy, optimizer, out, batch + 1)
    return policy


def update(
    policy: Policy,
    base: Policy,
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
    old, mask = experience.samples.logprob[rows], valid(experience.samples, rows)
    advantage = experience.advantages.value[rows]
    logprob, entropy = score(policy, experience, rows, recipe.temperature)
    reference = None
    if recipe.loss.kl_beta:
        with torch.no_grad():
            reference, _ = score(base, experience, rows, recipe.temperature)
    loss = policy_loss(
        logprob,
        old,
        advantage,
        mask,
        loss=recipe.loss,
        entropy=entropy,
        reference_logprob=reference,
        n_tokens=int(normalised_over(entropy, mask, recipe.loss).sum()),
        max_length=recipe.max_new,
    )
    if not loss.isfinite():
        raise ProbeError(f"the loss became {loss.item()}", where="GRPO update", do="lower lr, or keep dual clipping on")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(policy.tensors.values(), recipe.grad_norm)
    if not norm.isfinite():  # the clipped gradient is NaN then, and the weights would be
        raise ProbeError(f"the gradient's norm became {norm.item()}", where="GRPO update", do="lower lr")
    optimizer.step()
    return {"loss": loss.item(), "grad_norm": norm.item(), **report(experience, rows, logprob.detach(), recipe.loss)}


def update_metrics(updates: list[dict[str, float]]) -> dict[str, float]:
    """Means over the inner updates, and the clip fraction of each of them: it is 0 in the first by construction."""
    region = "clip_ratio/region_mean"
    by_update = {f"{region}/update_{i}": row[region] for i, row in enumerate(updates) if region in row}
    return mean_rows(updates) | by_update


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.jsonl; a half-written last line (a killed writer) is left out."""
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


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


def _save(policy: Policy, optimizer: torch.optim.Optimizer, out: Path, done: int) -> None:
    tensors = {name: p.detach().contiguous() for name, p in policy.tensors.items()}
    _write(tensors, _step_file(out, done), done)
    for name, p in policy.tensors.items():
        if p not in optimizer.state:  # no update was made yet, e.g. no response was kept
            continue
        state = optimizer.state[p]
        tensors[f"adam.m.{name}"], tensors[f"adam.v.{name}"] = state["exp_avg"], state["exp_avg_sq"]
        tensors[f"adam.step.{name}"] = state["step"]
    keep_log(out / METRICS)  # on the disk before the state that says these batches are done
    _write(tensors, out / STATE, done)


def _write(tensors: dict[str, torch.Tensor], path: Path, done: int) -> None:
    keep(path, save(tensors, metadata={"batches": str(done)}))


def _step_file(out: Path, done: int) -> Path:
    return out / f"step-{done:03d}.safetensors"


def _resume(policy: Policy, optimizer: torch.optim.Adam, out: Path, every: int) -> int:
    """Take up the saved state, if there is one: parameters, Adam's moments, and the log cut to the same batch."""
    out.mkdir(parents=True, exist_ok=True)
    done = _done(out, every)
    if not done:
        forget(out / METRICS)
        return 0
    lines = (out / METRICS).read_bytes().splitlines(keepends=True)[:done]
    keep_log(out / METRICS, sum(map(len, lines)))
    with safe_open(out / STATE, "pt") as file, torch.no_grad():
        for name, p in policy.tensors.items():
            p.copy_(file.get_tensor(name))
            if f"adam.m.{name}" not in file.keys():  # noqa: SIM118 - safe_open is no dict
                continue
            optimizer.state[p] = {
                "step": file.get_tensor(f"adam.step.{name}"),
                "exp_avg": file.get_tensor(f"adam.m.{name}"),
                "exp_avg_sq": file.get_tensor(f"adam.v.{name}"),
            }
    return done


def _done(out: Path, every: int) -> int:
    """How many batches are saved: 0 unless all that they left is what was written, as a kept step cannot be remade."""
    if not is_kept(out / STATE):
        return 0
    with safe_open(out / STATE, "pt") as file:
        done = int(file.metadata()["batches"])
    kept = [is_kept(_step_file(out, step)) for step in {*range(every, done + 1, every), done}]
    logged = len(read_metrics(out / METRICS)) if is_kept(out / METRICS) else 0
    if logged >= done and all(kept):
        return done
    set_aside(out / STATE, "a kept step or the log of its run is lost, so the run starts again")
    return 0
