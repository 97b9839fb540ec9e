"""What did the first batches of a run change? Sampled at T = 1, at its last step; nothing else is measured.

For runs of a batch or two, which forecasts are held against (`probe.experiments.forecast`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from probe.checkpoints.checkpoint import of_organism
from probe.checkpoints.run_job import RunJob
from probe.engine.job import Job
from probe.experiments import experiments
from probe.experiments.experiment import Experiment
from probe.experiments.measuring import ALONG_THE_WAY, at_step, first_samples, measure_pair
from probe.experiments.responses import RunResponsesJob, SampleJob, asked_of, responses_of
from probe.experiments.run_key import run_key
from probe.measurements import RowKey, Rows
from probe.measures import PairData
from probe.store import Store

SAMPLES = 4  # a problem


@experiments.register("first-change")
@dataclass(frozen=True)
class FirstChangeJob(Experiment):
    """Accuracy, code share and parse rate after the last batch of a short run."""

    FIGURES: ClassVar = ("forecast_realised",)
    study: str
    run: RunJob

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": self.study, "name": self.run.name, "first": True}

    @property
    def label(self) -> str:
        return f"{self.run.label} first change"

    @property
    def needs(self) -> tuple[Job, ...]:
        asked, sampled = asked_of(self.run.organism)
        sampled = replace(sampled, samples=SAMPLES)
        return (
            SampleJob(of_organism(self.run.organism), asked, sampled),
            RunResponsesJob(self.run, asked, sampled),
        )

    @property
    def key(self) -> RowKey:
        """What its rows are about."""
        return run_key(self.study, self.run, temperature=1.0)

    def measure(self, store: Store) -> Rows:
        base, run = responses_of(store, self.needs)
        after = at_step(run, self.run.grpo.batches)
        data = PairData(first_samples(base, after), after, address=self.key.address)
        return measure_pair(self.key, data, ALONG_THE_WAY)
