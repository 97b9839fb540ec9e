"""Is the path of a run's weights a line, and does its first quarter say where it ends? Beside walks of the same steps.

    kept steps -> weight_path/<shape>     by `module` and for all (`probe.interventions.weight_path`); null: mean of
                                          random walks (range: rows .../null), p: rank among them
    answers of base, end, first quarter made as long as the whole, random direction as long
               -> path_<measure>          by `part`: base, end, line, random line;  null of the line: the random line
                  path_recovered_<...>    of RL's change, what the line brings

`path_stretch` says how many times as long as its first quarter the final change is. A number of one path has no
sampling error: lo = hi = value. After 2605.21468 and 2601.04537.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from probe.checkpoints.checkpoint import Checkpoint, of_organism, of_run
from probe.checkpoints.organism_job import load_organism
from probe.checkpoints.run_job import RunJob
from probe.data import Estimate, Outcome, Strategy
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments import experiments
from probe.experiments.experiment import Experiment
from probe.experiments.measuring import is_destroyed
from probe.experiments.null_responses import kept_path
from probe.experiments.response_law.job import by_problem
from probe.experiments.responses import SampleJob, asked_of, responses_of
from probe.experiments.run_key import run_key
from probe.experiments.weight_path.extended import ExtendedJob
from probe.interventions.random_walk import Overlay, random_walk
from probe.interventions.recovery import Gap, outlying_p, recovery, share
from probe.interventions.weight_path import ALL, FIELDS, LEAST, Shape, shapes, stretch
from probe.measurements import RowKey, Rows, row_of
from probe.stats import clustered_mean
from probe.store import Store

STUDY = "weight-path"
DRAWS = 20  # walks
SAMPLES = 4  # a problem, at T = 1
PARTS = ("base", "end", "line", "random line")
MEASURES = {"accuracy": ("outcome", Outcome.right), "code_share": ("strategy", Strategy.code)}


@experiments.register("weight-path")
@dataclass(frozen=True)
class WeightPathJob(Experiment):
    """The path of one run made here, and its first quarter made as long as the whole."""

    FIGURES: ClassVar = ("weight_path",)
    TYPICAL: ClassVar = {"tiny": 3.0, "mini": 3.0, "mini-qwen2": 3.0}
    run: RunJob
    study: str = STUDY
    draws: int = DRAWS

    def __post_init__(self) -> None:
        if len(self.run.steps) < LEAST:
            what = f"{self.run.label} keeps {len(self.run.steps)} steps"
            raise BadInput(what, where="weight path", do=f"{LEAST} at least make a path: keep every batch (--every 1)")

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": self.study, "name": self.run.name, "draws": self.draws, "path": True}

    @property
    def label(self) -> str:
        return f"{self.run.label} path"

    @property
    def answers(self) -> tuple[Job, ...]:
        """At T = 1, then greedy: in the order of PARTS."""
        asked, sampled = asked_of(self.run.organism)
        sampled, jobs = replace(sampled, samples=SAMPLES), list[Job]()
        for way in (sampled, sampled.greedy):
            jobs += [SampleJob(each, asked, way) for each in (of_organism(self.run.organism), of_run(self.run))]
            jobs += [ExtendedJob(self.run, "line", asked, way), ExtendedJob(self.run, "random line", asked, way)]
        return tuple(jobs)

    @property
    def needs(self) -> tuple[Job, ...]:
        return (*self.answers, self.run, self.run.organism)

    def key(self, temperature: float) -> RowKey:
        """What its rows are about."""
        return run_key(self.study, self.run, temperature)

    def measure(self, store: Store) -> Rows:
        path = kept_path(store, load_organism(store, self.run.organism), self.run)
        rows = [row_of(self.key(0.0), each) for each in self._shapes(path)]
        tables = responses_of(store, self.answers)
        for temperature, four in ((1.0, tables[:4]), (0.0, tables[4:])):
            key = self.key(temperature)
            lost = {
                part: is_destroyed(four[0], table, key.address) for part, table in zip(PARTS, four, strict=True)
            } | {"base": False}
            rows += [row_of(key, each, lost[each.params["part"]]) for each in told(four)]
        return rows

    def _shapes(self, path: list[Overlay]) -> Iterator[Estimate]:
        batches = (0, *self.run.steps)
        address = ("weight path", self.run.recipe.digest)
        walks = [shapes(list(random_walk(path, *address, draw)), batches) for draw in range(self.draws)]
        for module, shape in shapes(path, batches).items():
            yield from _told(module, shape, [walk[module] for walk in walks])
        far = stretch(path)
        yield Estimate("path_stretch", far, far, far, 1, 1, "ratio", None, None, {"side": "change", "module": ALL})


def path_of(which: Checkpoint, every: int = 1) -> WeightPathJob:
    """Of a run made here, to the step that was named; `every` that many batches are kept, in a run of its own for it.

    BadInput where its steps are not kept here, or would be too few.
    """
    if which.run is None:
        what = f"{which.name} has no kept steps: {'it was made elsewhere' if which.is_outside else 'it is an organism'}"
        raise BadInput(what, where="weight path", do="name a run made here: probe ls checkpoints")
    grpo = replace(which.run.grpo, batches=which.step, save_every=every)
    return WeightPathJob(replace(which.run, grpo=grpo))


def _told(module: str, shape: Shape, walks: list[Shape]) -> Iterator[Estimate]:
    about = {"side": "change", "module": module}
    yield Estimate("weight_path/norm", *(shape.norm,) * 3, shape.entries, 1, "none", None, None, about)
    for name in FIELDS:
        value, drawn = getattr(shape, name), np.array([getattr(walk, name) for walk in walks])
        if not np.isfinite([value, *drawn]).all():
            continue  # nothing changed, or it is no matrix
        unit: Any = "none" if name == "stable_rank" else "ratio"
        mean, p = float(drawn.mean()), outlying_p(value, drawn.tolist())
        yield Estimate(f"weight_path/{name}", value, value, value, shape.entries, 1, unit, mean, p, about)
        limits = (mean, float(drawn.min()), float(drawn.max()))
        yield Estimate(f"weight_path/{name}/null", *limits, len(walks), 1, unit, None, None, about)


def told(four: list[pa.Table]) -> Iterator[Estimate]:
    """What base, end, line and random line answer (PARTS), and of RL's change what the lines bring."""
    for measure, (column, value) in MEASURES.items():
        base, end, line, random = (by_problem(table, column, value) for table in four)
        problems = [str(number) for number in range(base.size)]
        apart = clustered_mean(line - random, problems, name="", null=0.0, bounds=(-1.0, 1.0)).p
        for part, values in zip(PARTS, (base, end, line, random), strict=True):
            about = {"side": "before" if part == "base" else "after", "part": part}
            found = clustered_mean(values, problems, name=f"path_{measure}", bounds=(0.0, 1.0), params=about)
            found = replace(found, n=four[0].num_rows)
            yield replace(found, null=float(random.mean()), p=apart) if part == "line" else found
        gap = Gap(base, end, problems)
        for part, values in (("line", line), ("random line", random)):
            about = {"side": "change", "part": part}
            found = recovery(values, gap, name=f"path_recovered_{measure}", params=about)
            found, known = replace(found, n=four[0].num_rows), part == "line" and not gap.undefined
            yield replace(found, null=share(random, gap), p=apart) if known else found
