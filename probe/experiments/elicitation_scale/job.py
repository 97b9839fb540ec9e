"""One base, elicited in every way that needs no RL, and trained under rewards: accuracy per nat, on one scale.

    sampled colder, greedy, forced first words, majority of its samples    the base's own answers, chosen otherwise
    CoT decoding, steered, fine-tuned on one example                       its answers, decoded, moved or taught
    RL under each reward: the output head, all weights, one vector         what training gives

For each way (`part`, see `ways`): accuracy and code_share with their change from the base as it is asked (T = 1), and
`nats` a response (`nats.py`). A majority has no text of its own, so no nats. For each run, sampled and greedy,
`beyond`: its accuracy less that of the best way without RL, which is chosen on the other half of the problems. Nulls (a
random direction, a wrong example, a walk) have the same rows and are no way: none is ever the best. Left out: prompts
(an organism has one); steering where a base has but one strategy; pass@k, or other numbers of samples, of a way.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from probe.checkpoints.checkpoint import of_organism
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.run_job import RunJob
from probe.data import Estimate, Outcome, Strategy
from probe.engine.job import Job
from probe.experiments import experiments
from probe.experiments.elicitation_scale.nats import NatsJob
from probe.experiments.elicitation_scale.one_example import ExampleJob
from probe.experiments.elicitation_scale.ways import AS_ASKED, ASKED, Way, asked_otherwise, moved, trained
from probe.experiments.experiment import Experiment
from probe.experiments.measuring import at_step, is_destroyed
from probe.experiments.response_law.job import by_problem
from probe.experiments.responses import RESPONSES
from probe.experiments.run_key import run_key
from probe.measurements import RowKey, Rows, row_of
from probe.stats import clustered_mean
from probe.stats.accounting.arms import halves
from probe.store import Store

MAJORITY = "majority"
Values = Float[np.ndarray, "problem"]


@experiments.register("elicitation-scale")
@dataclass(frozen=True)
class ElicitationJob(Experiment):
    """Every way of one base, and the runs that started from it; `steered` where it has two strategies."""

    FIGURES: ClassVar = ("elicitation_scale", "elicitation_predictions")
    study: str
    organism: OrganismJob
    runs: tuple[RunJob, ...]
    examples: tuple[ExampleJob, ...] = ()
    steered: bool = True

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": self.study, "names": [run.name for run in self.runs]}

    @property
    def label(self) -> str:
        return f"{self.organism.label} elicited"

    @property
    def ways(self) -> tuple[Way, ...]:
        """As asked first, then what the base gives otherwise, then RL."""
        return (
            *asked_otherwise(self.organism),
            *moved(self.organism, self.steered, self.examples),
            *trained(self.runs),
        )

    @property
    def needs(self) -> tuple[Job, ...]:
        """The answers of every way, then their nats."""
        ways = self.ways
        return (*(way.answers for way in ways), *(NatsJob(self.organism, way.answers) for way in ways[1:]))

    def key(self, run: RunJob | None = None, temperature: float = 1.0) -> RowKey:
        """What the rows of a way are about."""
        if run is not None:
            return run_key(self.study, run, temperature)
        return of_organism(self.organism).key(self.study, "prompt", temperature=temperature)

    def measure(self, store: Store) -> Rows:
        ways = self.ways
        tables = [_answers(store, way) for way in ways]
        right = [by_problem(table, "outcome", Outcome.right) for table in tables]
        code = [by_problem(table, "strategy", Strategy.code) for table in tables]
        names = sorted(set(tables[0]["problem"].to_pylist()))
        golds = {problem.id: problem.answer for problem in ways[0].answers.elicitation.problems.problems}
        voted = majority(tables[0], golds, names)
        alike = {way.answers.options.temperature: table for way, table in zip(ways[:ASKED], tables, strict=False)}
        rows = [row_of(self.key(), each) for each in _told(MAJORITY, voted, right[0])]
        without = [voted, *(values for way, values in zip(ways, right, strict=True) if not (way.run or way.null))]
        for place, way in enumerate(ways):
            found = [*_told(way.name, right[place], right[0]), *_told(way.name, code[place], code[0], "code_share")]
            if place:
                nats = store.get(NatsJob(self.organism, way.answers).recipe).read_table()
                found.append(_mean(np.array(nats["nats"]), "nats", way.name, unit="nats"))
            if way.run and not way.null:
                found.append(_mean(right[place] - best(without, names), "beyond", way.name, null=0.0, side="change"))
            key = self.key(way.run, way.answers.options.temperature)
            destroyed = way.is_changed and is_destroyed(alike[key.temperature], tables[place], key.address)
            rows += [row_of(key, each, destroyed) for each in found]
        return rows


def majority(table: pa.Table, golds: Mapping[str, str], names: list[str]) -> Values:
    """1 where the plurality of a problem's boxed answers is right, by name; ties go to the answer that came first."""
    votes: dict[str, list[str]] = {name: [] for name in names}
    for row in table.select(["problem", "boxed"]).to_pylist():
        if row["boxed"] is not None:
            votes[row["problem"]].append(row["boxed"])
    chosen = [Counter(votes[name]).most_common(1) for name in names]
    return np.array([float(bool(top) and top[0][0] == golds[name]) for top, name in zip(chosen, names, strict=True)])


def best(ways: list[Values], names: list[str]) -> Values:
    """By problem, the accuracy of the way that is best on the other half of the problems."""
    half, every = halves(names), np.stack(ways)
    picked = [every[:, half != mine].mean(1).argmax() for mine in (0, 1)]
    return np.where(half == 0, every[picked[0]], every[picked[1]])


def _told(way: str, values: Values, asked: Values, name: str = "accuracy") -> list[Estimate]:
    told = [_mean(values, name, way)]
    return told if way == AS_ASKED else [*told, _mean(values - asked, name, way, null=0.0, side="change")]


def _mean(
    values: Values, name: str, way: str, unit: Any = "fraction", side: str = "after", null: Any = None
) -> Estimate:
    bounds = None if unit == "nats" else (-1.0, 1.0) if side == "change" else (0.0, 1.0)
    about = {"side": side, "part": way}
    return clustered_mean(values, np.arange(values.size), name=name, unit=unit, null=null, bounds=bounds, params=about)


def _answers(store: Store, way: Way) -> pa.Table:
    table = store.get(way.answers.recipe).read_table(RESPONSES)
    return at_step(table, way.run.grpo.batches) if way.run else table
