"""One run of one variant: every trait of the result table, before, after, and under a random change as large.

    256 problems, T = 1 and greedy      accuracy, code_share, parse_rate; at T = 1 entropy of the own tokens
    64 problems, 128 samples each       pass@k and CoT-pass@k; brier, ece, auroc of agreement (`traits.agreement`)

Sides "before", "after", "change" of the run, and "walk": the change that a random walk of the same length makes
(`null_responses`). A variant is a run of any recipe, reward and labels; the row's `reward` is the run's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pyarrow as pa

from probe.checkpoints.checkpoint import of_organism
from probe.checkpoints.run_job import RunJob
from probe.data import Estimate
from probe.engine.job import Job
from probe.experiments import experiments
from probe.experiments.experiment import Experiment
from probe.experiments.measuring import is_destroyed
from probe.experiments.null_responses import NullResponsesJob
from probe.experiments.responses import RunResponsesJob, SampleJob, asked_of, at_the_end
from probe.experiments.run_key import OF_THE_RUN, run_key
from probe.experiments.variants.traits import entropies, with_agreement
from probe.measurements import RowKey, Rows, row_of
from probe.measures import PairData, measures
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import SamplingOptions
from probe.store import Store

SAMPLES, MANY, FEW = 4, 128, 64  # samples at T = 1; samples, and problems, of pass@k
KS = (1, 8, 32, MANY)
ONCE = ("accuracy", "code_share", "parse_rate")
OFTEN = ("pass_at_k", "cot_pass_at_k", "calibration")
Answers = tuple[pa.Table, pa.Table]  # RESPONSES, ROLLOUTS


@experiments.register("variants")
@dataclass(frozen=True)
class VariantJob(Experiment):
    """One row of the result table, on one base."""

    FIGURES: ClassVar = ("variants",)
    study: str
    run: RunJob

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": self.study, "name": self.run.name, "variant": True}

    @property
    def label(self) -> str:
        return f"{self.run.label}, its traits"

    @property
    def ways(self) -> tuple[tuple[Elicitation, SamplingOptions], ...]:
        """How it is asked: at T = 1, greedy, and few problems often."""
        asked, sampled = asked_of(self.run.organism)
        few = replace(asked, problems=replace(asked.problems, problems=asked.problems.problems[:FEW]))
        once = replace(sampled, samples=SAMPLES)
        return (asked, once), (asked, once.greedy), (few, replace(sampled, samples=MANY))

    @property
    def needs(self) -> tuple[Job, ...]:
        """Base, run and walk, each way."""
        base = of_organism(self.run.organism)
        return tuple(
            job
            for way in self.ways
            for job in (
                SampleJob(base, *way),
                RunResponsesJob(self.run, *way),
                NullResponsesJob(self.run, "walk", *way),
            )
        )

    def key(self, temperature: float) -> RowKey:
        """What its rows are about."""
        return run_key(self.study, self.run, temperature)

    def measure(self, store: Store) -> Rows:
        held, rows = [at_the_end(store, job) for job in self.needs], []
        for place, (_, options) in enumerate(self.ways):
            base, run, walk = held[3 * place : 3 * place + 3]
            key = self.key(options.temperature)
            destroyed = is_destroyed(base[0], run[0], key.address)
            measured = often if options.samples == MANY else once
            mine = measured(base, run, key.address)
            rows += [row_of(key, each, destroyed and each.params["side"] in OF_THE_RUN) for each in mine]
            moved = [each for each in measured(base, walk, (*key.address, "walk")) if each.params["side"] == "change"]
            rows += [row_of(key, replace(each, params=each.params | {"side": "walk"})) for each in moved]
        return rows


def once(before: Answers, after: Answers, address: tuple[str | int, ...]) -> list[Estimate]:
    """Traits of a few samples; entropy where they are not greedy."""
    data = PairData(before[0], after[0], address=address)
    found = [each for name in ONCE for each in measures.get(name)()(data) if each.name == name]
    greedy = before[0]["temperature"][0].as_py() == 0
    return found if greedy else [*found, *entropies(before[1], after[1])]


def often(before: Answers, after: Answers, address: tuple[str | int, ...]) -> list[Estimate]:
    """Traits of many samples."""
    data = PairData(with_agreement(before[0]), with_agreement(after[0]), address=address)
    found = [each for name in OFTEN for each in measures.get(name)()(data)]
    return [each for each in found if each.params.get("k", KS[0]) in KS and each.name != "reliability"]
