"""Does steering do what RL did? Dose-responses of checkpoints as artifacts, and what they come to.

    FitJob    the direction from prose to code (`steering_fit`)
    DoseJob   that direction and random ones of its length, every coefficient, ablations -> graded answers, row by row
    SteerJob  doses of the base (and of what RL made of it) -> measurements, study "inside" (`steering_rows`)

c = 1 is the distance between the means of code and prose (`Direction.scale`). What is finished of a dose-response is on
disk, direction by direction: a killed job goes on from there. Directions are fitted and steered along on one backend.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float
from torch import Tensor

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.pair import Pair
from probe.engine.job import Job
from probe.engine.listener import report
from probe.errors import BadInput
from probe.experiments import experiments
from probe.experiments.budget import Work
from probe.experiments.experiment import CheckpointJob, PairExperiment
from probe.experiments.steering.directions import COMPUTE, FIT, FitJob, chosen
from probe.experiments.steering.estimates import Doses, rows_of
from probe.interventions.steering import (
    ABLATIONS,
    MEASURES,
    NULL_DRAWS,
    Scores,
    Where,
    ablating_edit,
    answer,
    random_vectors,
    steer,
)
from probe.measurements import RowKey, Rows, row_of
from probe.models.hooks.backends import Backend, backend
from probe.models.hooks.sites import Site
from probe.models.loading.load import Loaded
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import Compute, SamplingOptions
from probe.rollouts.respond import Request
from probe.store import Recipe, Store, is_kept, keep_table, write_table

VERSION = 1
COEFFICIENTS = (-6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0)
SAMPLED = SamplingOptions(samples=2)  # per problem and coefficient


@dataclass(frozen=True)
class DoseJob(CheckpointJob):
    """What one checkpoint answers, steered along a direction that was fitted on itself or on its base."""

    TYPICAL: ClassVar = {"tiny": 40.0}
    checkpoint: Checkpoint
    fit: FitJob
    site: str | None = None  # None: see `directions`
    coefficients: tuple[float, ...] = COEFFICIENTS
    randoms: int = NULL_DRAWS
    where: Where = "fork"
    options: SamplingOptions = SAMPLED
    compute: Compute = field(default=COMPUTE, compare=False)

    def __post_init__(self) -> None:
        if 0.0 not in self.coefficients or len(set(self.coefficients)) < 2:
            what = f"coefficients {', '.join(f'{c:g}' for c in self.coefficients)}"
            raise BadInput(what, where="steering", do="give 0 and one other at least")
        if self.randoms < 1:
            raise BadInput("no random direction", where="steering", do=f"give 1 or more; {NULL_DRAWS} is usual")

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {name: getattr(self, name) for name in ("site", "randoms", "where")}
        params |= {"coefficients": list(self.coefficients)} | self.options.spec() | self.checkpoint.spec
        inputs = (*self.checkpoint.inputs, self.fit.recipe.digest)
        return Recipe("doses", VERSION, params | self.fit.elicitation.spec(), inputs)

    @property
    def label(self) -> str:
        return f"{self.checkpoint.name} steered"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.fit, *self.checkpoint.needs)

    @property
    def work(self) -> tuple[Work, ...]:
        """Every problem that is not fitted on is answered under every edit."""
        edits = 1 + (len(self.coefficients) - 1 + len(ABLATIONS)) * (1 + self.randoms)
        rows = len(self.fit.elicitation.problems.problems) * self.options.samples * edits
        return (Work(self.checkpoint, rows, self.options.max_new, self.compute.batch),)

    def make(self, store: Store, work: Path) -> None:
        loaded = self.checkpoint.load(store)
        own = backend(self.fit.backend, loaded)
        found, mean = chosen(store.get(self.fit.recipe).read_table(), self.site)
        asked = self.fit.elicitation
        problems = tuple(p for p in asked.problems.problems if p.id not in found.fitted_on)
        request = Request(problems, asked, self.options, self.compute)
        vector = found.scale * found.vector.float()
        vectors = [vector, *random_vectors(vector, self.randoms, str(found.site))]
        tables = []
        for number, one in enumerate(vectors):
            file = work / "scratch" / f"part-{number:04d}.parquet"
            if not is_kept(file):
                keep_table(file, self._part(own, loaded, request, found.site, one, mean, number))
            tables.append(pq.read_table(file, partitioning=None))
            report(number + 1, len(vectors), "directions")
        write_table(work / "data.parquet", pa.concat_tables(tables))

    def _part(
        self,
        own: Backend,
        loaded: Loaded,
        request: Request,
        place: Site,
        vector: Float[Tensor, "d"],
        mean: Float[Tensor, "d"],
        number: int,
    ) -> pa.Table:
        """Every coefficient along one direction, then its ablations; coefficient 0 once, with direction 0."""
        coefficients = [c for c in self.coefficients if c or not number]
        found = [
            (("add", c), scores)
            for c, scores in steer(loaded, request, vector, place, coefficients, where=self.where, own=own).items()
        ]
        for how in ABLATIONS:
            edits = ablating_edit(place, vector, mean, how, self.where)
            found.append(((how, 0.0), answer(loaded, request, edits, own=own)))
        return pa.concat_tables([_answers(request, number, edit, scores) for edit, scores in found])


@experiments.register("steer")
@dataclass(frozen=True)
class SteerJob(PairExperiment):
    """A base steered, and with `after` how much of RL's change that recovers and ablation removes.

    Both are steered along the base's direction, fitted on problems that are never steered on.
    """

    FIGURES: ClassVar = ("steering",)
    pair: Pair
    elicitation: Elicitation = CHAIN
    options: SamplingOptions = SAMPLED
    site: str | None = None
    coefficients: tuple[float, ...] = COEFFICIENTS
    randoms: int = NULL_DRAWS
    where: Where = "fork"
    backend: str = "hooks"
    compute: Compute = field(default=COMPUTE, compare=False)

    def __post_init__(self) -> None:
        assert self.doses  # wrong options are told now

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": "inside", "what": "steering"}

    @property
    def label(self) -> str:
        return f"{self.pair.label} steering"

    @property
    def fit(self) -> FitJob:
        """The base's direction."""
        options = replace(FIT, seed=self.options.seed, max_new=self.options.max_new, sampler=self.options.sampler)
        return FitJob(self.pair.before, self.elicitation, options, self.backend, self.compute)

    @property
    def doses(self) -> tuple[DoseJob, ...]:
        """Of the base, and of what RL made of it."""
        about = (self.site, self.coefficients, self.randoms, self.where, self.options, self.compute)
        return tuple(DoseJob(each, self.fit, *about) for each in self.pair.sides.values())

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.fit, *self.doses)

    @property
    def key(self) -> RowKey:
        """What its rows are about."""
        return self.pair.reward_key("inside", self.options.temperature)

    def measure(self, store: Store) -> Rows:
        doses = [Doses.read(store.get(job.recipe).read_table()) for job in self.doses]
        key, fit = self.key, store.get(self.fit.recipe).read_table()
        where = str(chosen(fit, self.site)[0].site)
        estimates = rows_of(doses[0], doses[1] if self.pair.after else None, fit, where)
        return [row_of(key, each) for each in estimates]


def _answers(request: Request, number: int, edit: tuple[str, float], scores: Scores) -> pa.Table:
    n, rows = request.options.samples, len(request.problems) * request.options.samples
    columns: dict[str, Any] = {
        "direction": pa.array([number] * rows, pa.int32()),  # 0 is the fitted one
        "edit": [edit[0]] * rows,
        "coefficient": [edit[1]] * rows,
        "problem": [p.id for p in request.problems for _ in range(n)],
        "sample": pa.array(list(range(n)) * len(request.problems), pa.int32()),
    }
    return pa.table(columns | {name: getattr(scores, name).ravel() for name in MEASURES})
