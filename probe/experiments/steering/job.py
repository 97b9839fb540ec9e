"""Does steering do what RL did? Dose-responses of checkpoints as artifacts, and what they come to.

    FitJob    the direction from prose to code (`steering_fit`)
    DoseJob   that direction and random ones of its length, every coefficient, ablations -> graded answers, row by row
    SteerJob  doses of the base (and of what RL made of it) -> measurements, study "inside" (`steering_rows`)

c = 1 is the distance between the means of code and prose (`Direction.scale`). What is finished of a dose-response is on
disk, direction by direction: a killed job goes on from there. Directions are fitted and steered along on one backend.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float
from torch import Tensor

from probe.checkpoints.jobs import Job
from probe.checkpoints.resolve import Subject
from probe.engine.executor import make_all
from probe.engine.runner import Plan, plan
from probe.errors import BadInput
from probe.experiments.inside import context_of
from probe.experiments.steering.directions import FitJob, ask_about, chosen
from probe.experiments.steering.estimates import Doses, rows_of
from probe.interventions.steering import (
    ABLATIONS,
    MEASURES,
    NULL_DRAWS,
    Asking,
    Scores,
    Where,
    ablating_edit,
    answer,
    random_vectors,
    steer,
)
from probe.measurements import RowKey, row_of, to_table
from probe.models.hooks.backends import Backend, backend
from probe.models.hooks.sites import Site
from probe.models.loading.load import Loaded
from probe.rollouts.sample_job import CHAIN, How, OnPart
from probe.store import Recipe, Store, write_table

VERSION = 1
COEFFICIENTS = (-6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0)
SAMPLES = 2  # per problem and coefficient


@dataclass(frozen=True)
class DoseJob:
    """What one checkpoint answers, steered along a direction that was fitted on itself or on its base."""

    subject: Subject
    fit: FitJob
    site: str | None = None  # None: see the module
    coefficients: tuple[float, ...] = COEFFICIENTS
    randoms: int = NULL_DRAWS
    where: Where = "fork"
    samples: int = SAMPLES
    temperature: float = 1.0
    seed: int = 0
    batch: int = field(default=256, compare=False)
    on_part: OnPart | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if 0.0 not in self.coefficients or len(set(self.coefficients)) < 2:
            what = f"coefficients {', '.join(f'{c:g}' for c in self.coefficients)}"
            raise BadInput(what, where="steering", do="give 0 and one other at least")
        if self.randoms < 1:
            raise BadInput("no random direction", where="steering", do=f"give 1 or more; {NULL_DRAWS} is usual")

    @functools.cached_property
    def recipe(self) -> Recipe:
        names = ("site", "randoms", "where", "samples", "temperature", "seed")
        params = {name: getattr(self, name) for name in names} | {"coefficients": list(self.coefficients)}
        about = {"name": self.subject.name, "step": self.subject.step, "dtype": self.subject.dtype}
        inputs = (*self.subject.inputs, self.fit.recipe.digest)
        return Recipe("doses", VERSION, params | about | self.fit.how.spec(), inputs)

    @property
    def label(self) -> str:
        return f"{self.subject.name} steered"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.fit, *self.subject.needs)

    def make(self, store: Store, work: Path) -> None:
        loaded, how = self.subject.load(store), self.fit.how
        own = backend(self.fit.backend, loaded)
        found, mean = chosen(store.get(self.fit.recipe).read_table(), self.site)
        problems = tuple(p for p in how.problems.problems if p.id not in found.fitted_on)
        asking = ask_about(loaded, how, problems, self.samples, self.temperature, self.seed, self.batch)
        vector = found.scale * found.vector.float()
        vectors = [vector, *random_vectors(vector, self.randoms, str(found.site))]
        tables = []
        for number, one in enumerate(vectors):
            file = work / "scratch" / f"part-{number:04d}.parquet"
            if not file.exists():
                file.parent.mkdir(exist_ok=True)
                write_table(file, self._part(own, loaded, asking, found.site, one, mean, number))
            tables.append(pq.read_table(file, partitioning=None))
            if self.on_part is not None:
                self.on_part(number + 1, len(vectors))
        write_table(work / "data.parquet", pa.concat_tables(tables))

    def _part(
        self,
        own: Backend,
        loaded: Loaded,
        asking: Asking,
        place: Site,
        vector: Float[Tensor, "d"],
        mean: Float[Tensor, "d"],
        number: int,
    ) -> pa.Table:
        """Every coefficient along one direction, then its ablations; coefficient 0 once, with direction 0."""
        coefficients = [c for c in self.coefficients if c or not number]
        found = [
            (("add", c), scores)
            for c, scores in steer(loaded, asking, vector, place, coefficients, where=self.where, own=own).items()
        ]
        for how in ABLATIONS:
            edits = ablating_edit(place, vector, mean, how, self.where)
            found.append(((how, 0.0), answer(loaded, asking, edits, own=own)))
        return pa.concat_tables([_answers(asking, number, edit, scores) for edit, scores in found])


@dataclass(frozen=True)
class SteerJob:
    """A base steered, and with `after` how much of RL's change that recovers and ablation removes."""

    before: DoseJob
    after: DoseJob | None = None

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"study": "inside", "what": "steering"}
        return Recipe("measurements", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return " -> ".join(job.subject.name for job in self._doses) + " steering"

    @property
    def _doses(self) -> tuple[DoseJob, ...]:
        return (self.before, self.after) if self.after else (self.before,)

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.before.fit, *self._doses)

    def make(self, store: Store, work: Path) -> None:
        doses = [Doses.read(store.get(job.recipe).read_table()) for job in self._doses]
        context, fit = self.context(), store.get(self.before.fit.recipe).read_table()
        where = str(chosen(fit, self.before.site)[0].site)
        estimates = rows_of(doses[0], doses[1] if self.after else None, fit, where)
        write_table(work / "data.parquet", to_table([row_of(context, e, False) for e in estimates]))

    def context(self) -> RowKey:
        """What its rows are about."""
        after = self.after.subject if self.after else None
        return context_of(self.before.subject, after, self.before.temperature)


def job(
    before: Subject, after: Subject | None = None, how: How = CHAIN, *, backend: str = "hooks", **options: Any
) -> SteerJob:
    """The job of a base and what RL made of it, both steered along the base's direction; `options` of DoseJob."""
    fit = FitJob(before, how, options.get("seed", 0), backend, options.get("batch", 256))
    return SteerJob(DoseJob(before, fit, **options), DoseJob(after, fit, **options) if after else None)


def steering(
    job: SteerJob,
    store: Store,
    *,
    workers: int | None = None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_done: Callable[[Job], None] = lambda job: None,
    on_part: OnPart | None = None,
) -> pa.Table:
    """The job's rows of the long measurement table, made now unless they are there.

    Weights from outside are worked on in this process, where `on_part` hears of every direction that is done.
    """
    doses = [each for each in (job.before, job.after) if each]
    here = all(each.subject.made_here for each in doses)
    if not here:
        heard = [replace(each, on_part=on_part) for each in doses]
        job = SteerJob(heard[0], heard[1] if job.after else None)
    todo = plan([job], store)
    on_plan(todo)
    make_all(todo, store, workers=workers if here else 1, on_done=on_done)
    return store.get(job.recipe).read_table()


def _answers(asking: Asking, number: int, edit: tuple[str, float], scores: Scores) -> pa.Table:
    n, rows = asking.samples, len(asking.problems) * asking.samples
    columns: dict[str, Any] = {
        "direction": pa.array([number] * rows, pa.int32()),  # 0 is the fitted one
        "edit": [edit[0]] * rows,
        "coefficient": [edit[1]] * rows,
        "problem": [p.id for p in asking.problems for _ in range(n)],
        "sample": pa.array(list(range(n)) * len(asking.problems), pa.int32()),
    }
    return pa.table(columns | {name: getattr(scores, name).ravel() for name in MEASURES})
