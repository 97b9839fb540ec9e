"""What has to be made for a study, each piece once: organism -> votes -> run -> responses -> tokens -> measurements.

A job is a frozen description. Its recipe (and so its digest) follows from the description alone, without making
anything; `make` writes the artifact's files from those of the jobs it needs. The runner does the rest.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import torch

from probe.data import Problem
from probe.models.loading.load import Loaded, load_folder, save_folder
from probe.models.loading.organism import MAX_NEW_TOKENS
from probe.rl.labels import LabelSource
from probe.rl.labels import spec as labels_spec
from probe.rl.pretrain import pretrain
from probe.rl.rollout import questions
from probe.rl.train import GRPO, Logger, load_overlay, train
from probe.rollouts.grades import answer_table, respond
from probe.store import Recipe, Store, write_table
from probe.tasks.chain import chain_problems

TRAIN_POOL, TEST_PROBLEMS, VOTES = 512, 256, 32
PROBLEM_SEED = 0  # which chains are asked; the model's own seeds are elsewhere
VERSION = 1  # of everything an organism study makes: count up when a change of code changes numbers


class Job(Protocol):
    """One artifact to be made."""

    @property
    def recipe(self) -> Recipe: ...

    @property
    def label(self) -> str: ...

    @property
    def needs(self) -> tuple["Job", ...]: ...

    def make(self, store: Store, work: Path) -> None: ...


@dataclass(frozen=True)
class OrganismJob:
    """Pretrain one organism; the artifact is an ordinary Hugging Face checkpoint."""

    family: str
    size: str
    seed: int

    @functools.cached_property
    def recipe(self) -> Recipe:
        return Recipe("organism", VERSION, {"family": self.family, "size": self.size, "seed": self.seed})

    @property
    def label(self) -> str:
        return f"{self.family}-{self.size}-{self.seed}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return ()

    def make(self, store: Store, work: Path) -> None:
        model, tokenizer = pretrain(self.family, self.size, self.seed)
        save_folder(Loaded(model, tokenizer), work)


@dataclass(frozen=True)
class VotesJob:
    """What the initial model answers to the training problems, for labels taken from its majority."""

    organism: OrganismJob

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"problems": TRAIN_POOL, "votes": VOTES, "temperature": 1.0}
        return Recipe("votes", VERSION, params, (self.organism.recipe.digest,))

    @property
    def label(self) -> str:
        return f"{self.organism.label} votes"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.organism,)

    def make(self, store: Store, work: Path) -> None:
        loaded = load_organism(store, self.organism)
        table = answer_table(loaded, train_problems(), n_samples=VOTES, max_new=MAX_NEW_TOKENS)
        write_table(work / "data.parquet", table)


@dataclass(frozen=True)
class RunJob:
    """Train one organism with GRPO.

    `name` is the reward's name in figures (majority is ground_truth on other labels), and no part of the identity.
    """

    name: str
    organism: OrganismJob
    grpo: GRPO
    labels: LabelSource

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {**self.grpo.spec(), "labels": labels_spec(self.labels), "problems": TRAIN_POOL}
        return Recipe("run", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.organism.label} {self.name} seed {self.grpo.seed}"

    @property
    def clip(self) -> str:
        return "none" if self.grpo.loss.clip_high is None else f"{self.grpo.loss.clip_high:g}"

    @property
    def needs(self) -> tuple[Job, ...]:
        reads_votes = labels_spec(self.labels)["labels"] in ("offline_majority", "wrong_majority")
        return (self.organism, VotesJob(self.organism)) if reads_votes else (self.organism,)

    @property
    def steps(self) -> tuple[int, ...]:
        """After how many batches a checkpoint is kept."""
        every, last = self.grpo.save_every, self.grpo.batches
        return (*range(every, last, every), last)

    def make(self, store: Store, work: Path, log: Logger = lambda batch, metrics: None) -> None:
        loaded = load_organism(store, self.organism)
        pool = train_problems()
        answers: dict[str, list[str | None]] = {}
        if len(self.needs) > 1:
            table = store.get(self.needs[1].recipe).read_table()
            answers = dict(zip(table["problem"].to_pylist(), table["answers"].to_pylist(), strict=True))
        chosen = self.labels(answers, {p.id: p.answer for p in pool})
        by_id = {p.id: p for p in pool}
        asked = questions([by_id[i] for i in chosen.kept], chosen.label, loaded.tokenizer)
        train(loaded.model, loaded.tokenizer, asked, self.grpo, work, log=log)


@dataclass(frozen=True)
class ResponsesJob:
    """Sample and grade one checkpoint (an organism, or all kept steps of a run) on the test problems.

    The last step answers each problem `samples` times, the steps before it once: they only draw the curve. Temperature
    0 is greedy, one sample. The sampling draws are addressed by (`seed`, problem, sample): every checkpoint answers
    with the same draws, which pairs before and after sample by sample.
    """

    subject: OrganismJob | RunJob
    temperature: float
    samples: int
    seed: int = 0

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {
            "problems": TEST_PROBLEMS,
            "temperature": self.temperature,
            "samples": self.samples,
            "seed": self.seed,
        }
        return Recipe("responses", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.subject.label} responses T={self.temperature:g}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.subject,) if isinstance(self.subject, OrganismJob) else (self.subject, self.subject.organism)

    def make(self, store: Store, work: Path) -> None:
        parts = []
        for step in steps_of(self.subject):
            loaded = load_step(store, self.subject, step)
            name = f"{self.subject.label}@{step}"
            parts.append(
                respond(
                    loaded,
                    test_problems(),
                    checkpoint=name,
                    step=step,
                    n_samples=self.samples if step == steps_of(self.subject)[-1] else 1,
                    max_new=MAX_NEW_TOKENS,
                    temperature=self.temperature,
                    seed=self.seed,
                )
            )
        write_table(work / "rollouts.parquet", pa.concat_tables([p.rollouts for p in parts]))
        write_table(work / "responses.parquet", pa.concat_tables([p.responses for p in parts]))


def steps_of(subject: OrganismJob | RunJob) -> tuple[int, ...]:
    return (0,) if isinstance(subject, OrganismJob) else subject.steps


def load_organism(store: Store, job: OrganismJob) -> Loaded:
    return load_folder(store.get(job.recipe).path)


def load_step(store: Store, subject: OrganismJob | RunJob, step: int) -> Loaded:
    """A checkpoint in memory: the organism (step 0), or with the tensors a run had trained after `step` batches."""
    organism = subject if isinstance(subject, OrganismJob) else subject.organism
    loaded = load_organism(store, organism)
    if isinstance(subject, RunJob):
        load_overlay(loaded.model, store.get(subject.recipe).file(f"step-{step:03d}.safetensors"))
    return loaded


@functools.cache
def train_problems() -> tuple[Problem, ...]:
    return tuple(chain_problems(TRAIN_POOL, "train", PROBLEM_SEED))


@functools.cache
def test_problems() -> tuple[Problem, ...]:
    return tuple(chain_problems(TEST_PROBLEMS, "test", PROBLEM_SEED))


def one_thread() -> None:
    """One torch thread a process: the pool uses the cores."""
    torch.set_num_threads(1)
