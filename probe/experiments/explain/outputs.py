"""Why did accuracy change, as far as outputs alone can tell? The same accounting, without weights.

No other temperature, prompt or fresh problem can be asked: what needs them is undecided, and says so. That outputs are
greedy is not taken for known: files that do not tell their temperature read alike. Study "explain", one pair a system.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from probe.engine.job import Job
from probe.experiments import experiments
from probe.experiments.experiment import Experiment
from probe.experiments.explain.evidence import arm_of
from probe.experiments.explain.labels import label_finding
from probe.experiments.explain.verdict_rows import verdict_rows
from probe.experiments.published_outputs.job import PublishedJob
from probe.measurements import Rows
from probe.stats.accounting.account import Answers, Evidence
from probe.store import Store


@experiments.register("explain-rollouts")
@dataclass(frozen=True)
class ExplainOutputsJob(Experiment):
    """The verdict on each system of published outputs, or on two files."""

    FIGURES: ClassVar = ("verdict",)
    VERSION: ClassVar = 3  # as of ExplainJob
    outputs: PublishedJob

    @property
    def params(self) -> dict[str, Any]:
        return {"study": "explain"}

    @property
    def label(self) -> str:
        return f"{self.outputs.source.paths[0].name} explained"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.outputs.source,)

    def measure(self, store: Store) -> Rows:
        rows: list[dict[str, Any]] = []
        for key, before, after in self.outputs.pairs(store, "explain"):
            asked = Answers(arm_of(before), arm_of(after))
            rows += verdict_rows(key, Evidence(asked), (before, after), label_finding(None))
        return rows
