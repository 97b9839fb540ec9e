"""What does a base answer where a run's first quarter is made as long as the whole run?

line          base + s (change after the first quarter), as long as the final change
random line   base + a random direction, row by row as long as that: the null
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from probe.checkpoints.organism_job import VERSION, load_organism
from probe.checkpoints.run_job import RunJob
from probe.engine.job import Job
from probe.experiments.null_responses import answer, kept_path
from probe.interventions.random_walk import moved
from probe.interventions.weight_path import extended
from probe.rl.train import apply_overlay
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import SamplingOptions
from probe.store import Recipe, Store

Way = Literal["line", "random line"]


@dataclass(frozen=True)
class ExtendedJob(Job):
    """Sample and grade the base moved along the first quarter of a run."""

    TYPICAL: ClassVar = {"tiny": 1.0, "mini": 1.5, "mini-qwen2": 1.5, "small": 6.0}
    run: RunJob
    way: Way
    elicitation: Elicitation
    options: SamplingOptions

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"way": self.way} | self.options.spec() | self.elicitation.spec()
        return Recipe("extended", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.run.label} {self.way} T={self.options.temperature:g}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.run, self.run.organism)

    def make(self, store: Store, work: Path) -> None:
        loaded = load_organism(store, self.run.organism)
        path = kept_path(store, loaded, self.run)
        far = extended(path)
        if self.way == "random line":
            far = moved(path[0], path[0], far, "random line", self.run.recipe.digest)
        apply_overlay(loaded.model, far, self.label)
        answer(loaded, self.run, self.elicitation, self.options, self.label, work)
