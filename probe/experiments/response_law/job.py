"""One run against the response law: what changed, and what its move between strategies should have given.

    base and run on the same problems, at T = 1 and greedy -> realised change, its nested parts
    base with its first words forced, code's and prose's    -> gap a problem; predicted = mean of d share * gap
    base under null changes as large as the run's           -> what they change, and what the law predicts of it

Rows `predicted` and `gap` (both of the pair), beside accuracy, code share, parse rate and the parts of the gain. Sides
"walk" and "opposite" of accuracy, code share and `predicted` are those of the null changes (`null_responses`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float

from probe.checkpoints.checkpoint import of_organism
from probe.checkpoints.run_job import RunJob
from probe.data import Estimate, Outcome, Strategy
from probe.engine.job import Job
from probe.experiments import experiments
from probe.experiments.experiment import Experiment
from probe.experiments.measuring import at_step, first_samples, measure_pair
from probe.experiments.null_responses import Change, NullResponsesJob
from probe.experiments.responses import RunResponsesJob, SampleJob, asked_of, responses_of
from probe.experiments.run_key import run_key
from probe.measurements import RowKey, Rows, row_of
from probe.measures import PairData
from probe.stats import clustered_mean
from probe.stats.response_law import predicted_change
from probe.store import Store
from probe.tasks.corpus import CODE_FIRST, PROSE_OPENS

MEASURED = ("accuracy", "code_share", "parse_rate", "within_strategy", "gain_parts", "collapse")
OPENINGS = {"code": CODE_FIRST, "prose": PROSE_OPENS[0]}
NULLS: tuple[Change, ...] = ("walk", "opposite")
SAMPLES = 4  # a problem, at T = 1


@experiments.register("response-law")
@dataclass(frozen=True)
class LawJob(Experiment):
    """Realised and predicted change of one run, at its last step."""

    FIGURES: ClassVar = ("response_law",)
    VERSION: ClassVar = 2  # 2: null changes beside the run
    study: str
    run: RunJob

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": self.study, "name": self.run.name, "law": True}

    @property
    def label(self) -> str:
        return f"{self.run.label} against the response law"

    @property
    def needs(self) -> tuple[Job, ...]:
        """At T = 1, then greedy: of the base, of the run, and of the base under each opening and each null change."""
        base, (asked, sampled) = of_organism(self.run.organism), asked_of(self.run.organism)
        sampled = replace(sampled, samples=SAMPLES)
        forced = [replace(asked, prefix=words) for words in OPENINGS.values()]
        jobs: list[Job] = []
        for way in (sampled, sampled.greedy):
            jobs += [SampleJob(base, asked, way), RunResponsesJob(self.run, asked, way)]
            jobs += [SampleJob(base, each, way) for each in forced]
            jobs += [NullResponsesJob(self.run, change, asked, way) for change in NULLS]
        return tuple(jobs)

    def key(self, temperature: float) -> RowKey:
        """What its rows are about."""
        return run_key(self.study, self.run, temperature)

    def measure(self, store: Store) -> Rows:
        tables, rows = responses_of(store, self.needs), []
        half = len(tables) // 2
        for temperature, (base, run, code, prose, *nulls) in ((1.0, tables[:half]), (0.0, tables[half:])):
            key, after = self.key(temperature), at_step(run, self.run.grpo.batches)
            before = first_samples(base, after)
            rows += measure_pair(key, PairData(before, after, address=key.address), MEASURED)
            rows += [row_of(key, each) for each in law(before, after, code, prose)]
            for change, table in zip(NULLS, nulls, strict=True):
                rows += [row_of(key, each) for each in null(change, before, table, code, prose)]
        return rows


def law(before: pa.Table, after: pa.Table, code: pa.Table, prose: pa.Table) -> list[Estimate]:
    """`gap` and `predicted` of four RESPONSES tables on the same problems: both sides, the base under each opening."""
    shares = [by_problem(table, "strategy", Strategy.code) for table in (before, after)]
    right = [by_problem(table, "outcome", Outcome.right) for table in (code, prose)]
    problems = np.arange(right[0].size)
    gap = clustered_mean(
        right[0] - right[1], problems, name="gap", null=0.0, bounds=(-1.0, 1.0), params={"side": "before"}
    )
    return [gap, predicted_change(*shares, *right, name="predicted")]


def null(change: str, before: pa.Table, after: pa.Table, code: pa.Table, prose: pa.Table) -> list[Estimate]:
    """What a null change did to accuracy and code share, and what the law predicts of it; `side` names the change."""
    shares = [by_problem(table, "strategy", Strategy.code) for table in (before, after)]
    rights = [by_problem(table, "outcome", Outcome.right) for table in (before, after)]
    gaps = [by_problem(table, "outcome", Outcome.right) for table in (code, prose)]
    problems = np.arange(shares[0].size)
    found = [
        clustered_mean(after - before, problems, name=name, null=0.0, bounds=(-1.0, 1.0))
        for name, (before, after) in (("accuracy", rights), ("code_share", shares))
    ]
    told = [*found, predicted_change(*shares, *gaps, name="predicted")]
    return [replace(each, params={"side": change}) for each in told]


def by_problem(table: pa.Table, name: str, value: str) -> Float[np.ndarray, "problem"]:
    """Share of each problem's responses whose column `name` is `value`, in order of the problems' names."""
    flags = pc.equal(table[name], str(value)).cast(pa.float64())
    means = pa.table({"problem": table["problem"], "flag": flags}).group_by("problem").aggregate([("flag", "mean")])
    return means.sort_by("problem")["flag_mean"].to_numpy()
