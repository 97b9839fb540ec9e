"""Which checkpoints are there of a run on weights from outside? What it kept, and a random change as large beside it.

    checkpoint_of(run, step)     after that many batches, read from the store
    random_change_of(run)        W + s D, D random of the same rank: |s D| = |what training added|, matrix by matrix

The second is what any change of that size does: a null for every effect of training.
"""

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.outside import Kept
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments.outside_runs.job import OutsideRunJob, step_files
from probe.models.loading.adapter import ADAPTER_WEIGHTS
from probe.rewards import declared
from probe.rl.lora import Lora, adapter_files
from probe.rl.step_folders import CARD, step_folder
from probe.rng import torch_rng
from probe.store import Recipe, Store, write_atomic

FOLDER = "adapter"
NULL = "a random change as large"


def checkpoint_of(run: OutsideRunJob, step: int | None = None) -> Checkpoint:
    """The run as a checkpoint, after `step` batches [all]. BadInput where that step is not kept."""
    last, base = run.steps[-1] if step is None else step, run.checkpoint
    if last not in run.steps:
        do = f"kept are {', '.join(map(str, run.steps))}"
        raise BadInput(f"{run.label}: no step {last} is kept", where="checkpoint_of", do=do)
    assert base.origin is not None
    kind = "null" if declared(run.grpo.reward).is_null else "rl"
    kept = Kept(run, step_folder(last), base.origin, run.name, run.grpo, kind)
    return _left(run, kept, f"{run.label}@{last}", last)


def random_change_of(run: OutsideRunJob, seed: int = 0) -> Checkpoint:
    """Its base with a random change as large as that of all its batches. BadInput where every weight was trained."""
    job, base = RandomChangeJob(run, seed), run.checkpoint
    assert base.origin is not None
    kept = Kept(job, FOLDER, base.origin, f"{NULL} as under {run.name}", run.grpo, kind="null")
    return _left(run, kept, job.label, run.steps[-1])


def _left(run: OutsideRunJob, kept: Kept, name: str, step: int) -> Checkpoint:
    base = run.checkpoint
    if run.lora is None:
        return replace(base, name=name, source=kept, step=step, adapter=None)
    if base.adapter is not None:
        do = "export both with `probe train --out`, merge them with peft, and give the merged folder"
        raise BadInput("an adapter on top of an adapter is not read from the store", where=run.label, do=do)
    return replace(base, name=name, step=step, adapter=kept)


@dataclass(frozen=True)
class RandomChangeJob(Job):
    """An adapter of the run's rank, drawn at random, each of its products as long as the trained one."""

    run: OutsideRunJob
    seed: int = 0

    def __post_init__(self) -> None:
        if self.run.lora is None:
            do = "train by LoRA: an equal change of every weight is not drawn yet"
            raise BadInput("every weight was trained", where=self.run.label, do=do)

    @functools.cached_property
    def recipe(self) -> Recipe:
        return Recipe("random-change", 1, {"seed": self.seed}, (self.run.recipe.digest,))

    @property
    def label(self) -> str:
        return f"{NULL} as that of {self.run.label}, seed {self.seed}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.run,)

    def make(self, store: Store, work: Path) -> None:
        lora = self.run.lora
        assert lora is not None
        trained = load_file(step_files(store.get(self.run.recipe), self.run.steps[-1])[ADAPTER_WEIGHTS])
        files = adapter_files(drawn_like(trained, lora, self.seed), lora, self.run.base_name)
        for name, data in {**files, CARD: f"# {self.run.base_name} with {self.label}\n".encode()}.items():
            (work / FOLDER).mkdir(exist_ok=True)
            write_atomic(work / FOLDER / name, data)


def drawn_like(trained: dict[str, Tensor], lora: Lora, seed: int) -> dict[str, nn.Parameter]:
    """Normal A and B of the same shapes, B scaled so that |B A| is that of the trained pair (Frobenius)."""
    found: dict[str, nn.Parameter] = {}
    for name in sorted(trained):
        if ".lora_A." not in name:
            continue
        other = name.replace(".lora_A.", ".lora_B.")
        a, b = (_normal(trained[each], seed, each) for each in (name, other))
        scale = length(trained[name], trained[other]) / length(a, b)
        found |= {name: nn.Parameter(a), other: nn.Parameter(scale * b)}
    return found


def length(a: Float[Tensor, "rank in"], b: Float[Tensor, "out rank"]) -> float:
    """|B A|, without the product: the root of the trace of (B'B)(A A')."""
    a, b = a.double(), b.double()
    return float(((b.T @ b) * (a @ a.T)).sum().clamp(min=0).sqrt())


def _normal(like: Tensor, seed: int, name: str) -> Tensor:
    return torch.randn(like.shape, generator=torch_rng("random change", seed, name))
