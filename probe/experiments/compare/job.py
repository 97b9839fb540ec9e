"""What is different between two checkpoints? Both answer the same problems, sampled and greedy; every measure.

    responses (before, after) x (sampled, greedy) -> tokens: the after text under both -> measurements, study "compare"
    the base, greedy, under other prompts         -> what a better prompt gives without RL (`prompting`)

Draws are shared, so samples pair up. A checkpoint against itself is the null pair: the same weights sampled with other
draws (greedy, it is compared with its own text).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from probe.checkpoints.jobs import Job
from probe.checkpoints.resolve import Subject
from probe.engine.executor import make_all
from probe.engine.runner import Plan, plan
from probe.errors import BadInput
from probe.experiments.compare.prompts import prompt_rows
from probe.experiments.measuring import measure_pair
from probe.experiments.rl_runs.job import SAMPLES, SCORED, token_table
from probe.measurements import RowKey, to_table
from probe.measures import PairData
from probe.models.loading.manifest import Template
from probe.rollouts.sample_job import CHAIN, How, OnPart, ask
from probe.store import Recipe, Store, write_table
from probe.tokens.score import kl, score

VERSION = 2


@dataclass(frozen=True)
class CompareJob:
    """Every measure of one pair of checkpoints."""

    before: Subject
    after: Subject
    how: How = CHAIN
    temperature: float = 1.0  # of what is not greedy
    samples: int = SAMPLES  # per problem, at that temperature
    prompts: tuple[tuple[str, Template], ...] = ()  # that the base is tried under, besides that of `how`
    batch: int = field(default=64, compare=False)
    devices: tuple[str, ...] = field(default=(), compare=False)
    on_part: OnPart | None = field(default=None, compare=False)

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"study": "compare", "before": self.before.name, "after": self.after.name, "step": self.after.step}
        tried = {"prompts": [name for name, _ in self.prompts]}
        return Recipe("measurements", VERSION, params | tried, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.before.name} -> {self.after.name} measured"

    @property
    def is_null(self) -> bool:
        """Whether before and after are the same weights."""
        return _identity(self.before) == _identity(self.after)

    @property
    def asked(self) -> tuple[Job, ...]:
        """Before and after, each sampled and greedy; then the base, greedy, under each other prompt."""
        hot, greedy = (self.temperature, self.samples), (0.0, 1)
        options: dict[str, Any] = {"batch": self.batch, "devices": self.devices, "on_part": self.on_part}
        before = [ask(self.before, self.how, *way, **options) for way in (hot, greedy)]
        after = [
            ask(self.after, self.how, *hot, seed=int(self.is_null), **options),
            ask(self.after, self.how, *greedy, **options),
        ]
        tried = [ask(self.before, replace(self.how, template=n, text=t), *greedy, **options) for n, t in self.prompts]
        return (*before, *after, *tried)

    @property
    def needs(self) -> tuple[Job, ...]:
        return (*self.asked, *self.before.needs, *self.after.needs)

    def make(self, store: Store, work: Path) -> None:
        asked = self.asked
        tables = [store.get(job.recipe).read_table("responses.parquet") for job in asked]
        rollouts = store.get(asked[2].recipe).read_table("rollouts.parquet").to_pylist()
        rows = []
        for temperature, before, after in ((self.temperature, tables[0], tables[2]), (0.0, tables[1], tables[3])):
            context = self.context(temperature)
            data = PairData(before, after, address=context.address)
            rows += measure_pair(context, self.scored(store, rollouts, data) if temperature else data)
        if self.prompts:
            names = [self.how.template, *(name for name, _ in self.prompts)]
            tried = dict(zip(names, [tables[1], *tables[4:]], strict=True))
            rows += prompt_rows(self.context(0.0), tried, tables[3])
        write_table(work / "data.parquet", to_table(rows))

    def context(self, temperature: float) -> RowKey:
        """What its rows are about."""
        before, kind = self.before, "null" if self.is_null else "rl"
        origin = (before.family, before.size, before.base_seed)
        return RowKey("compare", kind, *origin, self.after.name, "", 0, self.after.step, temperature)

    def scored(self, store: Store, rollouts: list[dict[str, Any]], data: PairData) -> PairData:
        """With the after text scored under both checkpoints. BadInput where their vocabularies differ."""
        before, after = self.before.load(store), self.after.load(store)
        if before.tokenizer.get_vocab() != after.tokenizer.get_vocab():
            where = f"{self.before.name} and {self.after.name}"
            raise BadInput("the two checkpoints have different vocabularies", where=where, do="compare within a family")
        rows = [row for row in rollouts if row["sample"] < SCORED]
        prompts, completions = [r["prompt_ids"] for r in rows], [r["completion_ids"] for r in rows]
        at: dict[str, Any] = {"temperature": self.temperature}
        tables = [
            token_table(rows, score(loaded.model, prompts, completions, **at), self.after.name, subject.name, loaded)
            for subject, loaded in ((self.before, before), (self.after, after))
        ]
        divergence = pa.array(kl(before.model, after.model, prompts, completions, **at), pa.float32())
        return replace(data, tokens_before=tables[0], tokens_after=tables[1], kl=divergence)


def compare(
    before: Subject,
    after: Subject,
    store: Store,
    *,
    how: How = CHAIN,
    temperature: float = 1.0,
    samples: int = SAMPLES,
    prompts: tuple[tuple[str, Template], ...] = (),
    batch: int = 64,
    devices: tuple[str, ...] = (),
    workers: int | None = None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_done: Callable[[Job], None] = lambda job: None,
    on_part: OnPart | None = None,
) -> pa.Table:
    """The long measurement table of the pair (`probe.measurements`), made now unless it is there.

    `samples` per problem at `temperature` > 0, and one greedy; `prompts` are (name, template) pairs the base is tried
    under besides that of `how`. Weights from outside are worked on in this process, one checkpoint at a time.
    """
    job = CompareJob(before, after, how, temperature, samples, prompts, batch, devices, on_part)
    todo = plan([job], store)
    on_plan(todo)
    outside = not (before.made_here and after.made_here)
    make_all(todo, store, workers=1 if outside else workers, on_done=on_done)
    return store.get(job.recipe).read_table()


def _identity(subject: Subject) -> tuple[object, ...]:
    return subject.inputs, subject.step, subject.dtype
