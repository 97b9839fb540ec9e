"""Pretrain one organism; the artifact is an ordinary Hugging Face checkpoint."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from probe.data import Problem
from probe.engine.job import Job
from probe.models.loading.load import Loaded, load_folder, save_folder
from probe.rl.pretrain import pretrain
from probe.store import Recipe, Store
from probe.tasks.chain import chain_problems

TRAIN_POOL = 512
PROBLEM_SEED = 0  # which chains are asked; the model's own seeds are elsewhere
VERSION = 1  # of organisms, their runs and responses: count up when a change of code changes numbers


@dataclass(frozen=True)
class OrganismJob(Job):
    """One family, size and seed."""

    TYPICAL: ClassVar = {"tiny": 30.0, "small": 120.0}
    family: str
    size: str
    seed: int

    @functools.cached_property
    def recipe(self) -> Recipe:
        return Recipe("organism", VERSION, {"family": self.family, "size": self.size, "seed": self.seed})

    @property
    def label(self) -> str:
        return f"{self.family}-{self.size}-{self.seed}"

    def make(self, store: Store, work: Path) -> None:
        model, tokenizer = pretrain(self.family, self.size, self.seed)
        save_folder(Loaded(model, tokenizer), work)


def load_organism(store: Store, job: OrganismJob) -> Loaded:
    """The organism in memory; it must have been made."""
    return load_folder(store.get(job.recipe).path, trusted=True)


@functools.cache
def train_problems() -> tuple[Problem, ...]:
    """The chains that runs train on."""
    return tuple(chain_problems(TRAIN_POOL, "train", PROBLEM_SEED))
