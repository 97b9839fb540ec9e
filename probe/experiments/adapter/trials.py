"""What do adapters leave of the way to their target, and what does before answer with them? Text by text, artifacts.

    nats.parquet     texts of both writers that trained nothing, at most TEXTS each: over the completion tokens of each
                     the sum of KL(target || before), `change`, and of KL(target || before + adapters), `left`
    latents.parquet  of each adapter on either writer's texts: active latents a token (l0), share never active (silent)
    answers.parquet  before with its adapters, asked the problems that trained nothing, with the draws of all responses

`untrained`: the directions of rl drawn at random, as long as they were, with nothing learned. The walk's adapters are
held against the walk, and against after (`WALKED`). Every budget is finished on disk by itself: a killed job goes on.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from probe.checkpoints.pair import Pair
from probe.data import Problem
from probe.dictionaries.causes.adapter import Adapter, adapter_edits, detached
from probe.dictionaries.causes.adapter_nulls import untrained
from probe.dictionaries.causes.recovered_change import activity, nats_from
from probe.engine.job import Job
from probe.engine.listener import report
from probe.errors import BadInput
from probe.experiments.adapter.fits import (
    FROZEN,
    ITSELF,
    RL,
    WALK,
    AdapterFitJob,
    Read,
    Training,
    adapters_of,
    fitting,
    texts_of,
)
from probe.experiments.budget import PROMPT, Work
from probe.experiments.responses import SampleJob
from probe.interventions.steering import MEASURES, answer, part_of
from probe.models.loading.loaded import Loaded
from probe.rollouts.options import Compute
from probe.rollouts.respond import Request
from probe.store import Recipe, Store, is_kept, keep_table, write_table

VERSION = 1
UNTRAINED, WALKED = "untrained", "walk's"
COMPARED = (RL, FROZEN, UNTRAINED, WALK, ITSELF)
SIDES = ("before", "after")
NATS, LATENTS, ANSWERS = "nats.parquet", "latents.parquet", "answers.parquet"
TEXTS = 256  # of a writer
SCHEMAS = {
    NATS: pa.schema({"part": pa.string(), "k": pa.int32(), "writer": pa.string(), "problem": pa.string(),
                     "sample": pa.int32(), "tokens": pa.int32(), "change": pa.float64(), "left": pa.float64()}),
    LATENTS: pa.schema({"part": pa.string(), "k": pa.int32(), "writer": pa.string(), "site": pa.string(),
                        "l0": pa.float64(), "silent": pa.float64(), "tokens": pa.int32(), "failed": pa.string()}),
    ANSWERS: pa.schema({"part": pa.string(), "k": pa.int32(), "problem": pa.string(), "sample": pa.int32()}
                       | dict.fromkeys(MEASURES, pa.bool_())),
}  # fmt: skip


@dataclass(frozen=True)
class AdapterTrialsJob(Job):
    """All budgets of one comparison."""

    TYPICAL: ClassVar = {"tiny": 8.0}
    pair: Pair
    written: tuple[SampleJob, ...]
    training: Training
    rungs: tuple[int, ...]
    of: str
    compute: Compute = field(default=Compute(), compare=False)

    @property
    def fits(self) -> tuple[AdapterFitJob, ...]:
        """One a budget, of those that tell something: without latents nothing is frozen, nor left untrained."""
        fitted = RL if self.of == UNTRAINED else self.of
        rungs = [k for k in self.rungs if k or self.of in (RL, WALK)]
        rungs = rungs[-1:] if self.of == ITSELF else rungs
        return tuple(AdapterFitJob(self.pair, self.written, self.training, fitted, k) for k in rungs)

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"of": self.of, "texts": TEXTS} | self.pair.spec | self.written[0].options.spec()
        made = (*self.written, *self.fits)
        return Recipe("adapter-trials", VERSION, params, (*(job.recipe.digest for job in made), *self.pair.inputs))

    @property
    def label(self) -> str:
        return f"{self.pair.label} adapters of {self.of} tried"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (*self.fits, *self.written, *self.pair.needs)

    @property
    def in_process(self) -> bool:
        return self.pair.is_outside

    @property
    def targets(self) -> tuple[str, ...]:
        """What its adapters are held against, by the name of the rows."""
        return (WALK, WALKED) if self.of == WALK else (self.of,)

    @property
    def work(self) -> tuple[Work, ...]:
        """Held-out texts are read by before and each target, with adapters and without; half of the problems asked."""
        n, options = len(self.fits), self._options
        texts = min(2 * TEXTS, len(self.written[0].elicitation.problems.problems) * options.samples)
        read = texts * (PROMPT + options.max_new) * len(self.targets) * (2 * n + 1)
        rows, copies = len(asked(self.written[0])) * options.samples * n, 1 + (self.of == WALK)
        own = fitting(self.training, self.pair.before, self.training.batch * (PROMPT + options.max_new))
        how = {"read": read + read // 2, "copies": copies, "beside": own.weights / 4 + own.batch}
        before = Work(self.pair.before, rows, options.max_new, self.compute.batch, **how)
        return (before, Work(self.pair.trained, read=read))

    @property
    def _options(self) -> Any:
        return self.written[0].options

    def make(self, store: Store, work: Path) -> None:
        base, after = self.pair.load(store)
        texts = {
            writer: texts_of(store, (job,), "report", TEXTS) for writer, job in zip(SIDES, self.written, strict=True)
        }
        bench = Bench(self, base, after, texts, texts_of(store, self.written, "choose"))
        parts: dict[str, list[pa.Table]] = {name: [] for name in SCHEMAS}
        for done, fit in enumerate(self.fits, start=1):
            files = {name: work / "scratch" / f"{fit.k:05d}-{name}" for name in SCHEMAS}
            if not all(is_kept(file) for file in files.values()):
                for name, rows in bench.tried(store, fit).items():
                    keep_table(files[name], pa.Table.from_pylist(rows, schema=SCHEMAS[name]))
            for name, file in files.items():
                parts[name].append(pq.read_table(file, partitioning=None))
            report(done, len(self.fits), "budgets")
        for name, tables in parts.items():
            write_table(work / name, pa.concat_tables(tables))


@dataclass(frozen=True, eq=False)
class Bench:
    """Both models, and the texts that trained nothing, by their writer."""

    job: AdapterTrialsJob
    base: Loaded
    after: Loaded
    texts: dict[str, Read]
    trained_on: Read

    @functools.cached_property
    def models(self) -> dict[str, Any]:
        """Each target."""
        after, found = self.after.model, dict.fromkeys(self.job.targets, self.after.model)
        walk = {WALK: self.job.fits[0].target(self.base.model, after, self.trained_on)} if WALK in found else {}
        return found | walk

    @functools.cached_property
    def changes(self) -> dict[tuple[str, str], Float[np.ndarray, "text"]]:
        """What there is to recover, by target and writer: nats, summed over each text."""
        return {
            (name, writer): self._nats(model, (), writer)
            for name, model in self.models.items()
            for writer in self.texts
        }

    def tried(self, store: Store, fit: AdapterFitJob) -> dict[str, list[dict[str, Any]]]:
        """Rows of all three tables; where training failed, of its failure alone."""
        adapters, failed = adapters_of(store, fit)
        if self.job.of == UNTRAINED:
            adapters = untrained(adapters, UNTRAINED, self.job.training.seed)
        device = self.base.model.get_input_embeddings().weight.device
        adapters = tuple(detached(each, device) for each in adapters)
        latents = [each for writer in self.texts for each in self._latents(adapters, writer, fit.k, failed)]
        if failed:
            return {NATS: [], LATENTS: latents, ANSWERS: []}
        nats = [
            {"part": name, "k": fit.k, "writer": writer, "problem": problem, "sample": sample, "tokens": len(text),
             "change": change, "left": left}
            for (name, writer), changes in self.changes.items()
            for problem, sample, text, change, left in zip(
                self.texts[writer].problems, self.texts[writer].samples, self.texts[writer].completions,
                changes.tolist(), self._nats(self.models[name], adapters, writer).tolist(), strict=True,
            )
        ]  # fmt: skip
        return {NATS: nats, LATENTS: latents, ANSWERS: list(self._answers(adapters, fit.k))}

    def _nats(self, target: Any, adapters: tuple[Adapter, ...], writer: str) -> Float[np.ndarray, "text"]:
        read, batch = self.texts[writer], self.job.training.batch
        tokens = nats_from(target, self.base.model, adapters, read.prompts, read.completions, batch)
        return np.add.reduceat(tokens, np.cumsum([0, *map(len, read.completions)])[:-1])

    def _latents(self, adapters: tuple[Adapter, ...], writer: str, k: int, failed: str) -> Iterator[dict[str, Any]]:
        read, part = self.texts[writer], self.job.targets[-1]
        tokens, none = sum(map(len, (*read.prompts, *read.completions))), [float("nan")] * len(adapters)
        found = (none, none) if failed else activity(
            self.base.model, adapters, read.prompts, read.completions, self.job.training.batch
        )  # fmt: skip
        for each, l0, silent in zip(adapters, *found, strict=True):
            about = {"part": part, "k": k, "writer": writer, "site": str(each.site), "tokens": tokens, "failed": failed}
            yield about | {"l0": l0, "silent": silent}

    def _answers(self, adapters: tuple[Adapter, ...], k: int) -> Iterator[dict[str, Any]]:
        first = self.job.written[0]
        problems, n = asked(first), first.options.samples
        request = Request(problems, first.elicitation, first.options, self.job.compute)
        found = answer(self.base, request, adapter_edits(adapters))
        columns = {name: getattr(found, name).ravel().tolist() for name in MEASURES}
        for row in range(len(problems) * n):
            about = {"part": self.job.targets[-1], "k": k, "problem": problems[row // n].id, "sample": row % n}
            yield about | {name: values[row] for name, values in columns.items()}


def asked(written: SampleJob) -> tuple[Problem, ...]:
    """The problems that trained nothing. BadInput where there is none."""
    found = tuple(p for p in written.elicitation.problems.problems if part_of(p.id) == "report")
    if not found:
        raise BadInput("no problem to report", where=written.elicitation.problems.name, do="ask a dozen or more")
    return found
