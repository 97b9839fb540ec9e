"""One run under the random reward, its antithetic twin, and the walk beside it: what is left when the draw cancels.

    base, run, twin, walk, walk back; sampled and greedy    ->   rows of each trait, side "change" (common to both),
                                                                 "draw" (half their difference), "walk" (the null)

Traits: accuracy, code_share, parse_rate, and at T = 1 token_probability (mean probability of the tokens that a model
itself samples, 2506.10947 §5). The row's `clip` is the setting: a clip bound, or the variant's name.
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
from probe.experiments.measuring import is_destroyed
from probe.experiments.null_responses import Change, NullResponsesJob
from probe.experiments.responses import RunResponsesJob, SampleJob, asked_of, at_the_end
from probe.experiments.run_key import run_key
from probe.measurements import RowKey, Rows, row_of
from probe.rl.variants.antithetic import antithetic
from probe.stats.antithetic import common, draw
from probe.store import Store

WALKS: tuple[Change, ...] = ("walk", "walk back")
Traits = dict[str, Float[np.ndarray, "problem"]]


@experiments.register("antithetic")
@dataclass(frozen=True)
class AntitheticJob(Experiment):
    """The traits of one pair of twins; `setting` names how the run was clipped."""

    FIGURES: ClassVar = ("random_antithetic",)
    VERSION: ClassVar = 2  # 2: n counts responses
    study: str
    setting: str
    run: RunJob

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": self.study, "setting": self.setting}

    @property
    def label(self) -> str:
        return f"{self.run.label} {self.setting} and its twin"

    @property
    def twin(self) -> RunJob:
        """The run with every reward turned round. BadInput where the reward is not random."""
        return replace(self.run, grpo=antithetic(self.run.grpo))

    @property
    def needs(self) -> tuple[Job, ...]:
        """At T = 1, then greedy: base, run, twin, walk, walk back."""
        base, (asked, sampled) = of_organism(self.run.organism), asked_of(self.run.organism)
        jobs: list[Job] = []
        for way in (sampled, sampled.greedy):
            jobs.append(SampleJob(base, asked, way))
            jobs += [RunResponsesJob(run, asked, way) for run in (self.run, self.twin)]
            jobs += [
                NullResponsesJob(self.run, "walk", asked, way),
                NullResponsesJob(self.run, "walk back", asked, way),
            ]
        return tuple(jobs)

    def key(self, temperature: float) -> RowKey:
        """What its rows are about."""
        return replace(run_key(self.study, self.run, temperature), clip=self.setting)

    def measure(self, store: Store) -> Rows:
        rows = []
        held = [at_the_end(store, job) for job in self.needs]
        for temperature, (base, run, twin, *walks) in ((1.0, held[:5]), (0.0, held[5:])):
            key = self.key(temperature)
            destroyed = any(is_destroyed(base[0], responses, key.address) for responses, _ in (run, twin))
            means = [traits(*each, warm=temperature > 0) for each in (base, run, twin, *walks)]
            n = base[0].num_rows  # responses; problems are the clusters
            rows += [row_of(key, replace(each, n=n), destroyed) for each in _estimates(*means)]
        return rows


def _estimates(before: Traits, run: Traits, twin: Traits, walk: Traits, back: Traits) -> list[Estimate]:
    return [
        estimate
        for name in before
        for estimate in (
            common(before[name], run[name], twin[name], name=name),
            draw(before[name], run[name], twin[name], name=name),
            common(before[name], walk[name], back[name], name=name, side="walk"),
        )
    ]


def traits(responses: pa.Table, rollouts: pa.Table, *, warm: bool) -> Traits:
    """Means of every trait `[problem]`, in order of the problems' names."""
    found = {
        "accuracy": pc.equal(responses["outcome"], str(Outcome.right)),
        "code_share": pc.equal(responses["strategy"], str(Strategy.code)),
        "parse_rate": responses["boxed"].is_valid(),
    }
    if warm:
        found["token_probability"] = _probability(rollouts)
    return {name: _by_problem(responses["problem"], values) for name, values in found.items()}


def _probability(rollouts: pa.Table) -> pa.Array:
    """Mean over the tokens of each response."""
    lists = rollouts["logprob"].combine_chunks()
    chances = np.exp(lists.flatten().to_numpy(zero_copy_only=False).astype(float))
    ends = np.cumsum(np.asarray(pc.list_value_length(lists)))
    return pa.array([part.mean() for part in np.split(chances, ends[:-1])])


def _by_problem(problems: pa.ChunkedArray, values: Any) -> Float[np.ndarray, "problem"]:
    table = pa.table({"problem": problems, "value": values.cast(pa.float64())})
    means = table.group_by("problem").aggregate([("value", "mean")]).sort_by("problem")
    return np.clip(means["value_mean"].to_numpy(), 0.0, 1.0)
