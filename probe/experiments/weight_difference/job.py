"""How do the weights of two checkpoints differ, module by module? Against random changes, and another seed's.

    weight_change/relative, stable_rank, top_share, n90, sparsity, unchanged, norm     by `module`
    weight_change/cosine                                        of the change and another seed's, where one is given

Side "change". A number of one pair has no sampling error, so no interval: lo = hi = value. `null` is the mean over
equal-norm Gaussian draws, and rows weight_change/.../null give their range; p ranks the change among them, two-sided
(`probe.interventions.recovery`). The draws are not rounded: for checkpoints in bf16 a change is sparse also because of
rounding, and `unchanged` says how much was lost to it. Side "other" holds the same of the other seed's change.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from transformers import PreTrainedModel

from probe.checkpoints.pair import Pair
from probe.data import Estimate, Unit
from probe.experiments import experiments
from probe.experiments.experiment import WeightsExperiment
from probe.interventions.recovery import outlying_p
from probe.interventions.weight_difference import Change, cosines, random_changes, weight_changes
from probe.measurements import Rows, row_of
from probe.store import Store

DRAWS = 20  # of the null
FIELDS: dict[str, Unit] = {
    "norm": "none",
    "relative": "ratio",
    "stable_rank": "none",
    "top_share": "fraction",
    "n90": "count",
    "sparsity": "fraction",
    "unchanged": "fraction",
}
SHAPES = ("stable_rank", "top_share", "n90", "sparsity")  # what a Gaussian change of the same norm can differ in


@experiments.register("weights")
@dataclass(frozen=True)
class WeightsJob(WeightsExperiment):
    """The weight difference of one pair."""

    FIGURES: ClassVar = ("weight_change",)
    pair: Pair
    draws: int = DRAWS

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": "inside", "what": "weights", "draws": self.draws} | self.pair.spec

    @property
    def label(self) -> str:
        return f"{self.pair.label} weights"

    def measure(self, store: Store) -> Rows:
        before, after = self.pair.before.load(store).model, self.pair.trained.load(store).model
        estimates = list(change_rows(before, after, self.draws))
        if self.pair.other is not None:
            third = self.pair.other.load(store).model
            changes = weight_changes(before, third)
            estimates += [_row(each, name, "other") for each in changes for name in FIELDS]
            angles = cosines(before, after, third)
            estimates += [_cosine(each, angles[each.module]) for each in changes]
        key = self.pair.reward_key("inside", 0.0)
        return [row_of(key, each) for each in estimates]


def change_rows(before: PreTrainedModel, after: PreTrainedModel, draws: int) -> Iterator[Estimate]:
    """Every number of every module, those of its shape beside their null: `draws` random changes of equal norm.

    Norms are relative to the module before RL; effective rank, sparsity and shares have no unit.
    """
    null = [random_changes(before, after, "weights", draw) for draw in range(draws)]
    for place, change in enumerate(weight_changes(before, after)):
        for name in FIELDS:
            drawn = [getattr(each[place], name) for each in null] if name in SHAPES else []
            yield _row(change, name, "change", drawn)
            if drawn and all(map(math.isfinite, drawn)):
                mean, params = float(np.mean(drawn)), {"side": "change", **change.columns}
                limits = (mean, min(drawn), max(drawn))
                yield Estimate(f"weight_change/{name}/null", *limits, draws, 1, FIELDS[name], None, None, params)


def _row(change: Change, name: str, side: str, drawn: list[float] | None = None) -> Estimate:
    value, null, p = float(getattr(change, name)), None, None
    if drawn and math.isfinite(value):
        null, p = float(np.mean(drawn)), outlying_p(value, drawn)
    params = {"side": side, **change.columns}
    return Estimate(f"weight_change/{name}", value, value, value, change.entries, 1, FIELDS[name], null, p, params)


def _cosine(change: Change, value: float) -> Estimate:
    params = {"side": "change", **change.columns}
    return Estimate("weight_change/cosine", value, value, value, 1, 1, "none", 0.0, None, params)
