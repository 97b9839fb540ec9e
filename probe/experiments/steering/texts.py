"""What does a checkpoint write at each dose? The texts behind the shares of a dose-response, of a few problems.

    data.parquet   a row a text: direction (0: the fitted one, 1: the first random one of its length), coefficient,
                   problem, sample, and the columns of KEPT

Problems are the first that `DoseJob` steers on, draws and directions are its own: these are texts that it counted. It
keeps none of them, so they are written once more here.
"""

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from probe.engine.job import Job
from probe.experiments.budget import Work
from probe.experiments.steering.directions import chosen
from probe.experiments.steering.job import DoseJob
from probe.interventions.steering import answered, random_vectors, steering_edit
from probe.models.hooks.backends import backend
from probe.rollouts.respond import Request, graded
from probe.store import Recipe, Store, write_table

VERSION = 1
PROBLEMS = 6
FITTED, RANDOM = 0, 1
KEPT = ("problem", "sample", "text", "stop", "tokens", "boxed", "outcome", "strategy")


@dataclass(frozen=True)
class SteeredTextsJob(Job):
    """The first sample of each of the first `problems`, at every dose of `doses` along two directions."""

    doses: DoseJob
    problems: int = PROBLEMS

    @functools.cached_property
    def recipe(self) -> Recipe:
        # of the doses by what they are made from: nothing is read of what they leave
        about = {"problems": self.problems, "doses": self.doses.recipe.params}
        return Recipe("steered-texts", VERSION, about, self.doses.recipe.inputs)

    @property
    def label(self) -> str:
        return f"{self.doses.label}, as text"

    @property
    def needs(self) -> tuple[Job, ...]:
        return self.doses.needs

    @property
    def in_process(self) -> bool:
        return self.doses.in_process

    @property
    def work(self) -> tuple[Work, ...]:
        """A few answers a dose."""
        rows = self.problems * (2 * len(self.doses.coefficients) - 1)
        return (Work(self.doses.checkpoint, rows, self.doses.options.max_new, self.doses.compute.batch),)

    def make(self, store: Store, work: Path) -> None:
        doses, asked = self.doses, self.doses.fit.elicitation
        loaded = doses.checkpoint.load(store)
        own = backend(doses.fit.backend, loaded)
        found, _ = chosen(store.get(doses.fit.recipe).read_table(), doses.site)
        problems = tuple(p for p in asked.problems.problems if p.id not in found.fitted_on)[: self.problems]
        request = Request(problems, asked, replace(doses.options, samples=1), doses.compute)
        forced = len(asked.prompts(loaded.tokenizer, problems)[1])
        vector = found.scale * found.vector.float()
        tables = []
        for direction, one in ((FITTED, vector), (RANDOM, random_vectors(vector, 1, str(found.site))[0])):
            for c in doses.coefficients:
                if c or direction == FITTED:  # nothing is added at 0, whatever the direction
                    edits = steering_edit(found.site, one, c, doses.where)
                    rollouts = answered(loaded, request, edits, own=own).rollouts("steered")
                    texts = graded(rollouts, problems, asked, step=0, forced=forced)
                    tables.append(_at(texts.select(KEPT), direction, c))
        write_table(work / "data.parquet", pa.concat_tables(tables))


def _at(texts: pa.Table, direction: int, coefficient: float) -> pa.Table:
    """With where they stand in front."""
    n = texts.num_rows
    texts = texts.add_column(0, "coefficient", pa.array([coefficient] * n, pa.float64()))
    return texts.add_column(0, "direction", pa.array([direction] * n, pa.int32()))
