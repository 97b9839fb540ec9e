"""Pretrain one organism; the artifact is an ordinary Hugging Face checkpoint."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from probe.checkpoints.cards import organism_card
from probe.data import Problem
from probe.engine.job import Job
from probe.grammar import LETTERED, Grammar
from probe.models.loading.load import Loaded, load_folder, save_folder
from probe.rl.opening import open_in_code
from probe.rl.pretrain import pretrain
from probe.store import Recipe, Store
from probe.tasks.chain import chain_problems
from probe.tasks.corpus import family
from probe.tasks.cues import as_taught

TRAIN_POOL = 512
PROBLEM_SEED = 0  # which chains are asked; the model's own seeds are elsewhere
VERSION = 1  # of organisms, their runs and responses: count up when a change of code changes numbers


@dataclass(frozen=True)
class OrganismJob(Job):
    """One family, size and seed."""

    TYPICAL: ClassVar = {"tiny": 30.0, "mini": 10.0, "mini-qwen2": 10.0, "small": 120.0}
    family: str
    size: str
    seed: int

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"family": self.family, "size": self.size, "seed": self.seed}
        return Recipe("organism", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.family}-{self.size}-{self.seed}"

    @property
    def trunk(self) -> "OrganismJob | None":
        """The organism that it goes on from, where its family has a trunk."""
        named = family(self.family).trunk
        return OrganismJob(named, self.size, self.seed) if named else None

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.trunk,) if self.trunk else ()

    @property
    def grammar(self) -> Grammar:
        """Of the chains it knows."""
        return family(self.family).grammar

    def make(self, store: Store, work: Path) -> None:
        trunk = load_organism(store, self.trunk) if self.trunk else None
        if trunk and family(self.family).opens is not None:
            open_in_code(trunk.model, trunk.tokenizer, family(self.family), self.seed)
            save_folder(trunk, work, organism_card(self))
            return
        model, tokenizer = pretrain(self.family, self.size, self.seed, trunk=trunk.model if trunk else None)
        save_folder(Loaded(model, tokenizer), work, organism_card(self))


def load_organism(store: Store, job: OrganismJob) -> Loaded:
    """The organism in memory; it must have been made."""
    return load_folder(store.get(job.recipe).path, trusted=True)


@functools.cache
def train_problems(grammar: Grammar = LETTERED) -> tuple[Problem, ...]:
    """The chains that runs train on."""
    return tuple(chain_problems(TRAIN_POOL, "train", PROBLEM_SEED, grammar))


def training_problems(name: str) -> tuple[Problem, ...]:
    """What runs on organisms of that family are asked: the chains of its grammar, with cues where it knows them."""
    kind = family(name)
    plain = train_problems(kind.grammar)
    return tuple(as_taught(problem, kind) for problem in plain) if kind.cued else plain
