"""How do the weights of two checkpoints differ, module by module? And does another run's change agree?

    weight_change/relative, stable_rank, top_share, n90, sparsity, unchanged, norm     by `module`
    weight_change/cosine                                        of the change and the other run's, where one is given

Side "change". A number of one pair has no sampling error, so no interval: lo = hi = value. Nor has it a null of its
own: that is the same number of a run of the same weights under the random reward, a pair of its own (study `inside`).
For checkpoints in bf16 a change is sparse also because of rounding, and `unchanged` says how much was lost to it. Side
"other" holds the same of the other run's change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from probe.checkpoints.pair import Pair
from probe.data import Estimate, Unit
from probe.experiments import experiments
from probe.experiments.experiment import WeightsExperiment
from probe.interventions.weight_difference import Change, cosines, weight_changes
from probe.measurements import Rows, row_of
from probe.store import Store

FIELDS: dict[str, Unit] = {
    "norm": "none",
    "relative": "ratio",
    "stable_rank": "none",
    "top_share": "fraction",
    "n90": "count",
    "sparsity": "fraction",
    "unchanged": "fraction",
}


@experiments.register("weights")
@dataclass(frozen=True)
class WeightsJob(WeightsExperiment):
    """The weight difference of one pair."""

    FIGURES: ClassVar = ("weight_change",)
    VERSION: ClassVar = 2  # 2: no Gaussian null
    pair: Pair

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": "inside", "what": "weights"} | self.pair.spec

    @property
    def label(self) -> str:
        return f"{self.pair.label} weights"

    def measure(self, store: Store) -> Rows:
        before, after = self.pair.before.load(store).model, self.pair.trained.load(store).model
        changes = weight_changes(before, after)
        estimates = [_row(each, name, "change") for each in changes for name in FIELDS]
        if self.pair.other is not None:
            third = self.pair.other.load(store).model
            estimates += [_row(each, name, "other") for each in weight_changes(before, third) for name in FIELDS]
            angles = cosines(before, after, third)
            estimates += [_cosine(each, angles[each.module]) for each in changes]
        key = self.pair.reward_key("inside", 0.0)
        return [row_of(key, each) for each in estimates]


def _row(change: Change, name: str, side: str) -> Estimate:
    """One number of one module: norms relative to the module before RL; ranks, sparsity and shares have no unit."""
    value, params = float(getattr(change, name)), {"side": side, **change.columns}
    return Estimate(f"weight_change/{name}", value, value, value, change.entries, 1, FIELDS[name], None, None, params)


def _cosine(change: Change, value: float) -> Estimate:
    params = {"side": "change", **change.columns}
    return Estimate("weight_change/cosine", value, value, value, 1, 1, "none", 0.0, None, params)
