"""Has this checkpoint read these problems, and did RL wake what it remembers? (H3: 2507.10532, 2601.11061)

    signs of a leak (before, after) -> suspects against controls -> measurements, study "contamination"

Rows: each sign's mean in both groups and their difference (group "suspect", "control", "difference"; `given`: how much
of the question), before, after, and the change paired by problem; `leak_flag` with the p after Holm; and, where it is
known what leaked, `leak_auroc`: how well the signs tell leaked suspects from the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool

from probe.checkpoints.pair import Pair
from probe.data import Estimate
from probe.experiments import experiments
from probe.experiments.contamination.problem_sets import Sets
from probe.experiments.contamination.signs import SignsJob, columns_of
from probe.experiments.experiment import PairExperiment
from probe.measurements import RowKey, Rows, row_of
from probe.rollouts.options import Compute
from probe.stats.groups import separation
from probe.stats.leak import Columns, Finding, changes, findings, suspicion
from probe.store import Store
from probe.tasks.corpus import leaked

ALL_SIGNS = "all signs"


@experiments.register("contamination")
@dataclass(frozen=True)
class ContaminationJob(PairExperiment):
    """Suspects against controls in one checkpoint, or before and after RL."""

    FIGURES: ClassVar = ("contamination",)
    pair: Pair
    sets: Sets
    max_new: int
    compute: Compute = field(default=Compute(), compare=False)

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": "contamination"} | self.pair.spec

    @property
    def label(self) -> str:
        return f"{self.pair.label} contamination"

    @property
    def needs(self) -> tuple[SignsJob, ...]:
        return tuple(SignsJob(each, self.sets, self.max_new, self.compute) for each in self.pair.sides.values())

    @property
    def key(self) -> RowKey:
        """What its rows are about."""
        return self.pair.key("contamination", 0.0)

    def measure(self, store: Store) -> Rows:
        tables = [store.get(job.recipe).read_table() for job in self.needs]
        key, signs = self.key, [columns_of(table) for table in tables]
        suspect = signs[0][1]
        estimates = []
        for side, (columns, _) in zip(("before", "after"), signs, strict=False):
            address = (*key.address, side)
            for finding in findings(columns, suspect, address):
                estimates += _told(finding, side)
            estimates += _separations(columns, self.sets, suspect, side)
        if len(signs) > 1:
            moved = changes(signs[0][0], signs[1][0], suspect, key.address)
            estimates += [replace(e, params=e.params | {"side": "change"}) for e in moved]
        return [row_of(key, each) for each in estimates]


def _told(finding: Finding, side: str) -> list[Estimate]:
    """The groups, their difference, and the verdict: `leak_flag`, 1 or 0, with the p after Holm."""
    sides = [finding.suspect, finding.control, finding.difference]
    flagged, n = float(finding.flagged), finding.difference.n
    told = {"sign": finding.key[0], "given": finding.key[1]}
    flag = Estimate("leak_flag", flagged, flagged, flagged, n, n, "none", 0.0, finding.p_holm, told)
    return [replace(e, params=e.params | {"side": side}) for e in (*sides, flag)]


def _separations(columns: Columns, sets: Sets, suspect: Bool[np.ndarray, "problem"], side: str) -> list[Estimate]:
    """AUROC of `suspicion`, of all signs and of each, against what leaked; nothing where that is not known."""
    known = leaked(sets.suspect.problems)
    truth = np.array([p.id in known for p in sets.suspect.problems])
    if min(truth.sum(), (~truth).sum()) < 2:
        return []
    every: list[tuple[dict[str, Any], Columns]] = [({"sign": ALL_SIGNS}, columns)]
    every += [({"sign": key[0], "given": key[1]}, {key: values}) for key, values in columns.items()]
    return [
        separation(suspicion(some, suspect)[suspect], truth, name="leak_auroc", params={"side": side, **which})
        for which, some in every
    ]
