"""What does the walk matched to a run answer? As far as the run, kept step by kept step and row by row, at random.

`back`: the same walk mirrored at the base, so that what is of first order cancels between the two, as between a run and
its antithetic twin.
"""

import functools
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file

from probe.checkpoints.organism_job import VERSION, load_organism
from probe.checkpoints.run_job import RunJob
from probe.engine.job import Job
from probe.experiments.responses import RESPONSES, ROLLOUTS
from probe.interventions.random_walk import Overlay, random_walk
from probe.models.loading.load import Loaded
from probe.rl.policy import HEAD
from probe.rl.train import apply_overlay
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import SamplingOptions
from probe.rollouts.respond import graded, respond
from probe.rollouts.samplers import organism_sampler
from probe.store import Recipe, Store, write_table


@dataclass(frozen=True)
class WalkResponsesJob(Job):
    """Sample and grade the end of the walk beside a run."""

    TYPICAL: ClassVar = {"mini": 2.0, "mini-qwen2": 2.0}
    run: RunJob
    elicitation: Elicitation
    options: SamplingOptions
    back: bool = False

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"back": self.back} | self.options.spec() | self.elicitation.spec()
        return Recipe("walk", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.run.label} walk{' back' if self.back else ''} T={self.options.temperature:g}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.run, self.run.organism)

    def make(self, store: Store, work: Path) -> None:
        loaded = load_organism(store, self.run.organism)
        apply_overlay(loaded.model, self._end(store, loaded), self.label)
        found = respond(loaded, self.elicitation, self.options, organism_sampler(loaded))
        rollouts, step = found.rollouts(self.label), self.run.steps[-1]
        write_table(work / ROLLOUTS, rollouts)
        problems = self.elicitation.problems.problems
        write_table(work / RESPONSES, graded(rollouts, problems, self.elicitation, step=step, forced=0))

    @torch.no_grad()
    def _end(self, store: Store, loaded: Loaded) -> Overlay:
        """Where the walk ends."""
        artifact = store.get(self.run.recipe)
        steps = [load_file(artifact.file(f"step-{step:03d}.safetensors")) for step in self.run.steps]
        known = dict(loaded.model.named_parameters()) | {HEAD: loaded.model.lm_head.weight}
        base = {name: known[name].detach().clone() for name in steps[0]}
        walk = random_walk([base, *steps], "walk", self.run.organism.label, self.run.grpo.seed)
        (end,) = deque(walk, maxlen=1)
        return {name: 2 * base[name] - end[name] for name in end} if self.back else end
