"""What does one checkpoint hold over the answers of several? The same texts and positions, whoever reads them.

    texts   the rollouts of every writer, one writer after the other; a sample's number is its writer's place x samples
            + its own number there
    rows    the positions that predict a token of the answer, at most MOST of one answer, the first of them always:
            `at` 0 is the fork, where the first token of the answer is predicted

So the rows of two readers are pairs, and a dictionary of both can be fitted to them. Ids are those of the rollouts.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from probe.activations.collect import Text, collect
from probe.activations.shards import Activations
from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.organism_job import load_organism
from probe.data import Strategy
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments.budget import BYTES, PROMPT, Work, width_of
from probe.experiments.experiment import CheckpointJob
from probe.experiments.null_responses import changed
from probe.experiments.positions import MOST, tokens_read
from probe.experiments.responses import RESPONSES, ROLLOUTS, SampleJob
from probe.models.hooks.sites import site
from probe.models.loading.loaded import Loaded
from probe.rl.train import apply_overlay
from probe.rollouts.options import Compute
from probe.store import Recipe, Store

VERSION = 1
WRITERS, STRATEGIES = ("before", "after"), ("prose", "code")


@dataclass(frozen=True)
class ReadingJob(CheckpointJob):
    """What `checkpoint` holds at one site while it reads what `written` made."""

    checkpoint: Checkpoint
    written: tuple[SampleJob, ...]
    site: str
    walk: bool = False  # not the run itself, but its base moved as far in random directions
    compute: Compute = field(default=Compute(), compare=False)

    def __post_init__(self) -> None:
        if len({job.options.samples for job in self.written}) != 1:
            raise BadInput("writers with other numbers of samples", where="readings", do="sample each as often")
        if self.walk and self.checkpoint.run is None:
            raise BadInput("no run was made here", where=self.checkpoint.name, do="read it without a walk beside it")

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = self.checkpoint.spec | {"site": self.site, "most": MOST, "walk": self.walk}
        digests = tuple(job.recipe.digest for job in self.written)
        return Recipe("readings", VERSION, params, (*digests, *self.checkpoint.inputs))

    @property
    def label(self) -> str:
        return f"{self.checkpoint.name}{' walk' if self.walk else ''} reads {len(self.written)} at {self.site}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (*self.written, *self.checkpoint.needs)

    @property
    def work(self) -> tuple[Work, ...]:
        """Every answer is read once."""
        each = [len(job.elicitation.problems.problems) * job.options.samples for job in self.written]
        return (Work(self.checkpoint, read=sum(each) * (PROMPT + self.written[0].options.max_new)),)

    @property
    def disk(self) -> float:
        """Bytes of what is kept, at most."""
        answers = sum(len(job.elicitation.problems.problems) * job.options.samples for job in self.written)
        return float(answers * (MOST + 1) * width_of(self.checkpoint) * BYTES[self.checkpoint.dtype])

    def make(self, store: Store, work: Path) -> None:
        loaded = self._walked(store) if self.walk else self.checkpoint.load(store)
        texts = _texts(store, self.written)
        collect(loaded.model, texts, [site(self.site)], work, identity=self.recipe.digest, batch=self.compute.batch)

    def _walked(self, store: Store) -> Loaded:
        run = self.checkpoint.run
        assert run is not None
        loaded = load_organism(store, run.organism)
        apply_overlay(loaded.model, changed(store, loaded, run, "walk"), self.label)
        return loaded


def _texts(store: Store, written: tuple[SampleJob, ...]) -> Iterator[Text]:
    for place, job in enumerate(written):
        for row in store.get(job.recipe).read_table(ROLLOUTS).to_pylist():
            yield text_of(row, place * job.options.samples)


def text_of(row: dict[str, Any], first: int = 0, words: Sequence[int] = ()) -> Text:
    """One answer, `words` put in front of it and read too; `first` is the number of its writer's first sample."""
    last, n = len(row["prompt_ids"]) - 1, len(row["completion_ids"])
    wanted = sorted({0, *tokens_read(n, row["problem"])})
    ids = (*row["prompt_ids"], *words, *row["completion_ids"])
    places = (*range(last, last + len(words)), *(last + len(words) + t for t in wanted))
    return Text(row["problem"], first + row["sample"], ids, places)


@dataclass(frozen=True, eq=False)
class Labels:
    """Of every row of a reading: whose problem, which writer, how far behind the question, and was it code?"""

    problem: np.ndarray  # of str
    writer: Int[np.ndarray, "row"]
    at: Int[np.ndarray, "row"]  # 0: the fork
    code: Bool[np.ndarray, "row"]

    @functools.cached_property
    def groups(self) -> np.ndarray:
        """Of each row, who wrote it and how: "before/prose", "after/code"."""
        wrote = zip(self.writer.tolist(), self.code.tolist(), strict=True)
        return np.array([f"{WRITERS[writer]}/{STRATEGIES[code]}" for writer, code in wrote])

    def __getitem__(self, rows: np.ndarray) -> "Labels":
        return Labels(self.problem[rows], self.writer[rows], self.at[rows], self.code[rows])


def labels(held: Activations, store: Store, written: tuple[SampleJob, ...]) -> Labels:
    """In the order of the rows."""
    rows, samples = held.rows(), written[0].options.samples
    last: dict[tuple[str, int], int] = {}
    code: dict[tuple[str, int], bool] = {}
    for place, job in enumerate(written):
        made = store.get(job.recipe)
        for row in made.read_table(ROLLOUTS).to_pylist():
            last[row["problem"], place * samples + row["sample"]] = len(row["prompt_ids"]) - 1
        for row in made.read_table(RESPONSES).to_pylist():
            code[row["problem"], place * samples + row["sample"]] = row["strategy"] == Strategy.code
    keys = list(zip(rows.problem.tolist(), rows.sample.tolist(), strict=True))
    return Labels(
        rows.problem,
        rows.sample // samples,
        rows.pos - np.array([last[key] for key in keys]),
        np.array([code[key] for key in keys]),
    )
