"""What is different between two checkpoints? Both answer the same problems, sampled and greedy; every measure.

    responses (before, after) x (T = 1, greedy) -> tokens: the after text under both -> measurements, study "compare"

Draws are shared, so samples pair up. A checkpoint against itself is the null pair: the same weights sampled with other
draws (greedy, it is compared with its own text).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from probe.errors import BadInput
from probe.measures import PairData
from probe.models.organism import MAX_NEW_TOKENS
from probe.pipeline.jobs import TEST_PROBLEMS, Job, OrganismJob, ResponsesJob, test_problems
from probe.pipeline.measure_jobs import SAMPLES, SCORED, token_table
from probe.pipeline.measuring import Context, measure_pair, to_table
from probe.pipeline.quick import make_all
from probe.pipeline.runner import Plan, plan
from probe.pipeline.sampling import respond
from probe.pipeline.subjects import Subject
from probe.store import Recipe, Store, write_table
from probe.tokens.score import kl, score

VERSION = 1


@dataclass(frozen=True)
class AnswersJob:
    """Sample and grade one checkpoint at one step on the first test problems."""

    subject: Subject
    temperature: float
    samples: int
    seed: int = 0
    problems: int = TEST_PROBLEMS

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {name: getattr(self, name) for name in ("temperature", "samples", "seed", "problems")}
        about = {"name": self.subject.name, "step": self.subject.step}
        return Recipe("responses", VERSION, params | about, self.subject.inputs)

    @property
    def label(self) -> str:
        return f"{self.subject.name} responses T={self.temperature:g}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return self.subject.needs

    def make(self, store: Store, work: Path) -> None:
        answers = respond(
            self.subject.load(store),
            test_problems()[: self.problems],
            checkpoint=self.subject.name,
            step=self.subject.step,
            n_samples=self.samples,
            max_new=MAX_NEW_TOKENS,
            temperature=self.temperature,
            seed=self.seed,
        )
        write_table(work / "rollouts.parquet", answers.rollouts)
        write_table(work / "responses.parquet", answers.responses)


@dataclass(frozen=True)
class CompareJob:
    """Every measure of one pair of checkpoints."""

    before: Subject
    after: Subject

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"study": "compare", "before": self.before.name, "after": self.after.name, "step": self.after.step}
        return Recipe("measurements", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.before.name} -> {self.after.name} measured"

    @property
    def is_null(self) -> bool:
        """Whether before and after are the same weights."""
        return (self.before.inputs, self.before.step) == (self.after.inputs, self.after.step)

    @property
    def needs(self) -> tuple[Job, ...]:
        hot, greedy = (1.0, SAMPLES), (0.0, 1)
        before = [answers(self.before, *how) for how in (hot, greedy)]
        after = [answers(self.after, *hot, seed=int(self.is_null)), answers(self.after, *greedy)]
        return (*before, *after, *self.before.needs, *self.after.needs)

    def make(self, store: Store, work: Path) -> None:
        tables = [store.get(job.recipe).read_table("responses.parquet") for job in self.needs[:4]]
        rollouts = store.get(self.needs[2].recipe).read_table("rollouts.parquet").to_pylist()
        rows = []
        for temperature, before, after in ((1.0, tables[0], tables[2]), (0.0, tables[1], tables[3])):
            context = self.context(temperature)
            data = PairData(before, after, address=context.address)
            rows += measure_pair(context, self.scored(store, rollouts, data) if temperature else data)
        write_table(work / "data.parquet", to_table(rows))

    def context(self, temperature: float) -> Context:
        """What its rows are about."""
        before, kind = self.before, "null" if self.is_null else "rl"
        origin = (before.family, before.size, before.base_seed)
        return Context("compare", kind, *origin, self.after.name, "", 0, self.after.step, temperature)

    def scored(self, store: Store, rollouts: list[dict], data: PairData) -> PairData:
        """With the after text scored under both checkpoints. BadInput where their vocabularies differ."""
        before, after = self.before.load(store), self.after.load(store)
        if before.tokenizer.get_vocab() != after.tokenizer.get_vocab():
            where = f"{self.before.name} and {self.after.name}"
            raise BadInput("the two checkpoints have different vocabularies", where=where, do="compare within a family")
        rows = [row for row in rollouts if row["sample"] < SCORED]
        prompts, completions = [r["prompt_ids"] for r in rows], [r["completion_ids"] for r in rows]
        tables = [
            token_table(rows, score(loaded.model, prompts, completions), self.after.name, subject.name, loaded)
            for subject, loaded in ((self.before, before), (self.after, after))
        ]
        divergence = pa.array(kl(before.model, after.model, prompts, completions), pa.float32())
        return replace(data, tokens_before=tables[0], tokens_after=tables[1], kl=divergence)


def answers(subject: Subject, temperature: float, samples: int, seed: int = 0) -> Job:
    """The job that samples a checkpoint; an organism's is the one of the studies, which may be there already."""
    if isinstance(subject.source, OrganismJob):
        return ResponsesJob(subject.source, temperature, samples, seed)
    return AnswersJob(subject, temperature, samples, seed)


def compare(
    before: Subject,
    after: Subject,
    store: Store,
    *,
    workers: int | None = None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_done: Callable[[Job], None] = lambda job: None,
) -> pa.Table:
    """The long measurement table of the pair (`probe.plots.MEASUREMENT_COLUMNS`), made now unless it is there."""
    job = CompareJob(before, after)
    todo = plan([job], store)
    on_plan(todo)
    make_all(todo, store, workers=workers, on_done=on_done)
    return store.get(job.recipe).read_table()
