"""The answers that experiments read, as artifacts: rollouts.parquet (ids, the record) and responses.parquet (graded).

    SampleJob         any checkpoint; killed, it goes on behind the last part that was saved
    RunResponsesJob   every kept step of a run made here, the last one sampled `samples` times, those before it once

Draws are addressed by (seed, problem, sample), so before and after pair up and no batch size changes an answer (beyond
the rounding of half precision). Large models are worked off in parts, longest prompts first: what does not fit into
memory shows at once.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.organism_job import VERSION as ORGANISMS
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.outside import Outside
from probe.checkpoints.run_job import RunJob, load_step
from probe.engine.job import Job
from probe.engine.listener import report
from probe.errors import BadInput
from probe.experiments.budget import Work
from probe.experiments.experiment import CheckpointJob
from probe.experiments.measuring import at_step, rollouts_at_step
from probe.models.loading.load import Loaded
from probe.rollouts.elicitation import Elicitation, chains
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.rollouts.respond import graded, respond
from probe.rollouts.samplers import Sample, organism_sampler, transformers_sampler, vllm_sampler
from probe.store import Recipe, Store, is_kept, keep_table, write_table

VERSION = 2  # 2: one path for organisms and weights from outside, special tokens kept on both
PART = 32  # problems of weights from outside between two saves
ROLLOUTS, RESPONSES = "rollouts.parquet", "responses.parquet"


@dataclass(frozen=True)
class SampleJob(CheckpointJob):
    """Sample and grade one checkpoint."""

    TYPICAL: ClassVar = {"tiny": 1.0, "small": 6.0}
    checkpoint: Checkpoint
    elicitation: Elicitation
    options: SamplingOptions
    compute: Compute = field(default=Compute(), compare=False)

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = self.options.spec() | self.elicitation.spec() | self.checkpoint.spec
        return Recipe("responses", VERSION, params, self.checkpoint.inputs)

    @property
    def label(self) -> str:
        asked, options = self.elicitation, self.options
        return f"{self.checkpoint.name} {asked.problems.name} T={options.temperature:g} template {asked.template}"

    @property
    def work(self) -> tuple[Work, ...]:
        """What it does to the checkpoint."""
        rows = len(self.elicitation.problems.problems) * self.options.samples
        return (Work(self.checkpoint, rows, self.options.max_new, self.compute.batch),)

    def make(self, store: Store, work: Path) -> None:
        loaded, problems = self.checkpoint.load(store), self.elicitation.problems.problems
        prompts, forced = self.elicitation.prompts(loaded.tokenizer, problems)
        check_lengths(loaded, prompts, self.options.max_new)
        sample, tables, done = self._sample(loaded, store), [], 0
        for number, places in enumerate(parts_of(prompts, self.checkpoint.is_outside)):
            file = work / "scratch" / f"part-{number:04d}.parquet"
            if not is_kept(file):
                keep_table(file, self._part(loaded, sample, places))
            tables.append(pq.read_table(file, partitioning=None))
            done += len(places) * self.options.samples
            report(done, len(prompts) * self.options.samples, "responses")
        rollouts = _in_order(pa.concat_tables(tables))
        write_table(work / ROLLOUTS, rollouts)
        step = self.checkpoint.step
        write_table(work / RESPONSES, graded(rollouts, problems, self.elicitation, step=step, forced=len(forced)))

    def _part(self, loaded: Loaded, sample: Sample, places: list[int]) -> pa.Table:
        """ROLLOUTS of these problems, with each one's place."""
        problems = [self.elicitation.problems.problems[place] for place in places]
        rollouts = respond(loaded, self.elicitation, self.options, sample, problems).rollouts(self.checkpoint.name)
        column = [place for place in places for _ in range(self.options.samples)]
        return rollouts.append_column("place", pa.array(column, pa.int32()))

    def _sample(self, loaded: Loaded, store: Store) -> Sample:
        """The sampler that knows these weights."""
        source = self.checkpoint.source
        if not isinstance(source, Outside):
            return organism_sampler(loaded)
        if self.options.sampler == "transformers":
            return transformers_sampler(loaded, self.compute)
        if self.checkpoint.adapter:
            do = "save the merged model first"
            raise BadInput("vLLM reads whole checkpoints", where=self.checkpoint.name, do=do)
        return vllm_sampler(loaded, source.files(store), self.checkpoint.dtype)


@dataclass(frozen=True)
class RunResponsesJob(Job):
    """Sample and grade all kept steps of a run: the steps before the last only draw the curve."""

    TYPICAL: ClassVar = {"tiny": 1.0, "small": 6.0}
    run: RunJob
    elicitation: Elicitation
    options: SamplingOptions

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"steps": list(self.run.steps)} | self.options.spec() | self.elicitation.spec()
        return Recipe("responses", ORGANISMS + 1, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.run.label} responses T={self.options.temperature:g}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.run, self.run.organism)

    def make(self, store: Store, work: Path) -> None:
        problems, rollouts, responses = self.elicitation.problems.problems, [], []
        for step in self.run.steps:
            loaded = load_step(store, self.run, step)
            options = self.options if step == self.run.steps[-1] else replace(self.options, samples=1)
            found = respond(loaded, self.elicitation, options, organism_sampler(loaded))
            rollouts.append(found.rollouts(f"{self.run.label}@{step}"))
            responses.append(graded(rollouts[-1], problems, self.elicitation, step=step, forced=0))
        write_table(work / ROLLOUTS, pa.concat_tables(rollouts))
        write_table(work / RESPONSES, pa.concat_tables(responses))


def asked_of(organism: OrganismJob) -> tuple[Elicitation, SamplingOptions]:
    """What organisms of its grammar are asked in the studies, and how they are sampled at T = 1."""
    return chains(organism.grammar), replace(SAMPLED, max_new=organism.grammar.max_new)


def responses_of(store: Store, jobs: tuple[Job, ...]) -> list[pa.Table]:
    """RESPONSES of each job; all must have been made."""
    return [store.get(job.recipe).read_table(RESPONSES) for job in jobs]


def at_the_end(store: Store, job: Job) -> tuple[pa.Table, pa.Table]:
    """RESPONSES and ROLLOUTS of a job; of a run's kept steps, those of the last."""
    artifact = store.get(job.recipe)
    responses, rollouts = artifact.read_table(RESPONSES), artifact.read_table(ROLLOUTS)
    if not isinstance(job, RunResponsesJob):
        return responses, rollouts
    last = job.run.steps[-1]
    return at_step(responses, last), rollouts_at_step(rollouts, last)


def parts_of(prompts: list[list[int]], is_outside: bool) -> Iterator[list[int]]:
    """Places of the prompts between two saves, longest first; an organism takes them all at once."""
    places = list(range(len(prompts)))
    if not is_outside:
        yield places
        return
    places.sort(key=lambda place: (-len(prompts[place]), place))
    for start in range(0, len(places), PART):
        yield places[start : start + PART]


def _in_order(rows: pa.Table) -> pa.Table:
    order = pc.sort_indices(rows, sort_keys=[("place", "ascending"), ("sample", "ascending")])
    return rows.take(order).drop_columns("place")


def check_lengths(loaded: Loaded, prompts: list[list[int]], max_new: int) -> None:
    """BadInput where prompt and new tokens are more than the model has positions."""
    config = loaded.model.config.get_text_config()
    longest, room = max(map(len, prompts)), getattr(config, "max_position_embeddings", None)
    if room is not None and longest + max_new > room:
        what = f"a prompt of {longest} tokens and {max_new} new ones are more than its {room} positions"
        do = f"--max-new {room - longest}" if room > longest else "give shorter problems or another template"
        raise BadInput(what, where=str(loaded.tokenizer.name_or_path), do=do)
