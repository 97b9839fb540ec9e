"""Train one organism with GRPO, on labels that may come from the organism's own votes."""

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from probe.checkpoints.organism_job import TRAIN_POOL, VERSION, OrganismJob, load_organism, training_problems
from probe.engine.job import Job
from probe.models.loading.load import Loaded
from probe.rl.clip_report import Report, clipped
from probe.rl.labels import LabelSource
from probe.rl.labels import spec as labels_spec
from probe.rl.rollout import Question, questions
from probe.rl.train import GRPO, Logger, load_overlay, train
from probe.rollouts.elicitation import chains
from probe.rollouts.options import SamplingOptions
from probe.rollouts.respond import respond
from probe.rollouts.samplers import organism_sampler
from probe.store import Recipe, Store, write_table
from probe.tasks.answers import boxed

RUN_VERSION = 2  # 2: forks in the log are exactly the top 20 % of tokens; the weights are those of 1
VOTES = SamplingOptions(samples=32)
READ_VOTES = ("offline_majority", "wrong_majority")  # label sources that need the initial model's answers


@dataclass(frozen=True)
class VotesJob(Job):
    """What the initial model answers to the training problems, for labels taken from its majority."""

    TYPICAL: ClassVar = {"tiny": 5.0, "small": 20.0}
    organism: OrganismJob

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"problems": TRAIN_POOL, "votes": VOTES.samples, "temperature": VOTES.temperature}
        return Recipe("votes", VERSION, params, (self.organism.recipe.digest,))

    @property
    def label(self) -> str:
        return f"{self.organism.label} votes"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.organism,)

    def make(self, store: Store, work: Path) -> None:
        grammar = self.organism.grammar
        loaded, problems = load_organism(store, self.organism), training_problems(self.organism.family)
        options = replace(VOTES, max_new=grammar.max_new)
        found = respond(loaded, chains(grammar), options, organism_sampler(loaded), problems, purpose="votes")
        answers = [boxed(text) for text in found.texts]
        grouped = [answers[i : i + VOTES.samples] for i in range(0, len(answers), VOTES.samples)]
        schema = pa.schema([("problem", pa.string()), ("answers", pa.list_(pa.string()))])
        table = pa.table({"problem": [p.id for p in problems], "answers": grouped}, schema=schema)
        write_table(work / "data.parquet", table)


@dataclass(frozen=True)
class RunJob(Job):
    """One GRPO run.

    `name` is the reward's name in figures (majority is ground_truth on other labels), and no part of the identity.
    """

    TYPICAL: ClassVar = {"tiny": 4.0, "small": 45.0}
    name: str
    organism: OrganismJob
    grpo: GRPO
    labels: LabelSource

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {**self.grpo.spec(), "labels": labels_spec(self.labels), "problems": TRAIN_POOL}
        return Recipe("run", RUN_VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.organism.label} {self.name} seed {self.grpo.seed}"

    @property
    def clip(self) -> str:
        """The upper clip bound as rows name it."""
        return "none" if self.grpo.loss.clip_high is None else f"{self.grpo.loss.clip_high:g}"

    @property
    def needs(self) -> tuple[Job, ...]:
        reads_votes = labels_spec(self.labels)["labels"] in READ_VOTES
        return (self.organism, VotesJob(self.organism)) if reads_votes else (self.organism,)

    @property
    def steps(self) -> tuple[int, ...]:
        """After how many batches a checkpoint is kept."""
        every, last = self.grpo.save_every, self.grpo.batches
        return (*range(every, last, every), last)

    def make(
        self,
        store: Store,
        work: Path,
        log: Logger = lambda batch, metrics: None,
        report: Report = clipped,
    ) -> None:
        loaded = load_organism(store, self.organism)
        asked = self.questions(store, loaded)
        train(loaded.model, loaded.tokenizer, asked, self.grpo, work, log=log, report=report)

    def questions(self, store: Store, loaded: Loaded) -> list[Question]:
        """What it is trained on, with the labels that its reward compares with; what it needs is in the store."""
        pool = training_problems(self.organism.family)
        answers: dict[str, list[str | None]] = {}
        if len(self.needs) > 1:
            table = store.get(self.needs[1].recipe).read_table()
            answers = dict(zip(table["problem"].to_pylist(), table["answers"].to_pylist(), strict=True))
        chosen = self.labels(answers, {p.id: p.answer for p in pool})
        by_id = {p.id: p for p in pool}
        return questions([by_id[i] for i in chosen.kept], chosen.label, loaded.tokenizer)


def load_step(store: Store, run: RunJob, step: int) -> Loaded:
    """The organism with the tensors that the run had trained after `step` batches."""
    loaded = load_organism(store, run.organism)
    load_overlay(loaded.model, store.get(run.recipe).file(f"step-{step:03d}.safetensors"))
    return loaded
