"""What does a base answer under changes as large as a run's that are not the run's? Nulls of every effect of training.

walk        as far as the run, kept step by kept step and row by row, in random directions (`random_walk`)
walk back   the same walk mirrored at the base: to first order the two cancel
opposite    base - (run - base): as far, the other way
"""

import functools
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from safetensors.torch import load_file

from probe.checkpoints.organism_job import VERSION, load_organism
from probe.checkpoints.run_job import RunJob
from probe.engine.job import Job
from probe.experiments.responses import RESPONSES, ROLLOUTS
from probe.interventions.random_walk import Overlay, random_walk
from probe.models.loading.load import Loaded
from probe.models.sampling.residual_bias import give_biases
from probe.rl.policy import HEAD
from probe.rl.train import apply_overlay
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import SamplingOptions
from probe.rollouts.respond import graded, respond
from probe.rollouts.samplers import organism_sampler
from probe.store import Recipe, Store, write_table

Change = Literal["walk", "walk back", "opposite"]


@dataclass(frozen=True)
class NullResponsesJob(Job):
    """Sample and grade the base under a null change of a run."""

    TYPICAL: ClassVar = {"tiny": 1.0, "mini": 1.5, "mini-qwen2": 1.5, "small": 6.0}
    run: RunJob
    change: Change
    elicitation: Elicitation
    options: SamplingOptions

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"change": self.change} | self.options.spec() | self.elicitation.spec()
        return Recipe("null", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.run.label} {self.change} T={self.options.temperature:g}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.run, self.run.organism)

    def make(self, store: Store, work: Path) -> None:
        loaded = load_organism(store, self.run.organism)
        apply_overlay(loaded.model, changed(store, loaded, self.run, self.change), self.label)
        answer(loaded, self.run, self.elicitation, self.options, self.label, work)


def answer(
    loaded: Loaded, run: RunJob, elicitation: Elicitation, options: SamplingOptions, label: str, work: Path
) -> None:
    """Sample and grade what a run's base has become, as the artifact of a job."""
    rollouts = respond(loaded, elicitation, options, organism_sampler(loaded)).rollouts(label)
    write_table(work / ROLLOUTS, rollouts)
    problems = elicitation.problems.problems
    write_table(work / RESPONSES, graded(rollouts, problems, elicitation, step=run.steps[-1], forced=0))


@torch.no_grad()
def kept_path(store: Store, base: Loaded, run: RunJob) -> list[Overlay]:
    """The trained tensors of the run's organism, and after each of its kept steps."""
    artifact = store.get(run.recipe)
    steps = [load_file(artifact.file(f"step-{step:03d}.safetensors")) for step in run.steps]
    give_biases(base.model, steps[0])  # a trained vector starts at zero
    known = dict(base.model.named_parameters()) | {HEAD: base.model.lm_head.weight}
    return [{name: known[name].detach().clone() for name in steps[0]}, *steps]


@torch.no_grad()
def changed(store: Store, base: Loaded, run: RunJob, change: Change) -> Overlay:
    """The trained tensors after a null change; `base` is the run's organism, and is left as it is."""
    path = kept_path(store, base, run)
    start = path[0]
    if change == "opposite":
        return mirrored(start, path[-1])
    (end,) = deque(random_walk(path, "walk", run.recipe.digest), maxlen=1)
    return mirrored(start, end) if change == "walk back" else end


def mirrored(start: Overlay, end: Overlay) -> dict[str, torch.Tensor]:
    """As far from the start as the end is, the other way."""
    return {name: 2 * start[name] - end[name] for name in start}
