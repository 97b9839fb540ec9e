"""One pair between which one explanation is true by construction, and the verdict on it.

    BuiltInJob(study, truth, pair's ExplainJob)   ->   the rows of the verdict, and one row `explained_truth`

The verdict is made by `ExplainJob` before the truth is put beside it, from the same evidence for every pair: it knows
no family, no reward and no name. `kind` says how the explanation was built in: "taught" (both were pretrained from one
trunk, and differ by what they were taught last), "edited" (one row of the head was set, `probe.rl.opening`), "rl" (by
a reward that pays for nothing else), or "null".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from probe.data import Estimate
from probe.engine.job import Job
from probe.experiments import experiments
from probe.experiments.experiment import Experiment
from probe.experiments.explain.job import ExplainJob
from probe.measurements import Row, RowKey, Rows, row_of
from probe.store import Store
from probe.tasks.corpus import family


@experiments.register("built-in")
@dataclass(frozen=True)
class BuiltInJob(Experiment):
    """The verdict on one pair, and `truth`: one of the explanations (`WORDS`), or "nothing": the same weights twice."""

    FIGURES: ClassVar = ("built_in",)
    study: str
    truth: str
    explained: ExplainJob

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": self.study, "truth": self.truth}

    @property
    def label(self) -> str:
        return f"{self.explained.label}, built in: {self.truth}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.explained,)

    @property
    def kind(self) -> str:
        """How the explanation was built in."""
        pair = self.explained.pair
        if pair.is_null or pair.trained.run:
            return pair.kind
        return "taught" if family(pair.trained.family).opens is None else "edited"

    def measure(self, store: Store) -> Rows:
        pair = self.explained.pair
        run = pair.trained.run
        about = {"study": self.study, "kind": self.kind, "reward": run.name if run else pair.trained.family}
        rows: list[Row] = [row | about for row in store.get(self.explained.recipe).read_table().to_pylist()]
        keys = dict.fromkeys(tuple(row[name] for name in vars(RowKey())) for row in rows)
        for values in keys:
            key = RowKey(**dict(zip(vars(RowKey()), values, strict=True)))
            told = Estimate("explained_truth", 1.0, 1.0, 1.0, 1, 1, "none", None, None, {"part": self.truth})
            rows.append(row_of(key, told))
        return rows
