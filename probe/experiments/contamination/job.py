"""Has this checkpoint read these problems, and did RL wake what it remembers? (H3: 2507.10532, 2601.11061)

    signs of a leak (before, after) -> suspects against controls -> measurements, study "contamination"

Rows: each sign's mean in both groups and their difference (group "suspect", "control", "difference"; `given`: how much
of the question), before, after, and the change paired by problem; `leak_flag` with the p after Holm; and, where it is
known what leaked, `leak_auroc`: how well the signs tell leaked suspects from the others.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from probe.checkpoints.jobs import Job
from probe.checkpoints.resolve import Subject
from probe.data import Estimate
from probe.engine.executor import make_all
from probe.engine.runner import Plan, plan
from probe.experiments.contamination.problem_sets import Sets
from probe.experiments.contamination.signs import SignsJob, columns_of
from probe.measurements import RowKey, row_of, to_table
from probe.rollouts.sample_job import OnPart
from probe.stats.groups import separation
from probe.stats.leak import Columns, Finding, changes, findings, suspicion
from probe.store import Recipe, Store, write_table
from probe.tasks.corpus import leaked

VERSION = 1
ALL_SIGNS = "all signs"


@dataclass(frozen=True)
class ContaminationJob:
    """Suspects against controls in one checkpoint, or before and after RL."""

    before: Subject
    after: Subject | None
    sets: Sets
    max_new: int
    batch: int = field(default=64, compare=False)
    on_part: OnPart | None = field(default=None, compare=False)

    @functools.cached_property
    def recipe(self) -> Recipe:
        after = self.after.name if self.after else None
        params = {"study": "contamination", "before": self.before.name, "after": after}
        return Recipe("measurements", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        names = [subject.name for subject in (self.before, self.after) if subject]
        return f"{' -> '.join(names)} contamination"

    @property
    def needs(self) -> tuple[SignsJob, ...]:
        subjects = [subject for subject in (self.before, self.after) if subject]
        return tuple(SignsJob(s, self.sets, self.max_new, self.batch, self.on_part) for s in subjects)

    def context(self) -> RowKey:
        """What its rows are about."""
        before, after = self.before, self.after
        same = after is not None and (before.inputs, before.step) == (after.inputs, after.step)
        kind = "base" if after is None else "null" if same else "rl"
        origin = (before.family, before.size, before.base_seed)
        name = after.name if after else ""
        return RowKey("contamination", kind, *origin, name, "", 0, (after or before).step, 0.0)

    def make(self, store: Store, work: Path) -> None:
        tables = [store.get(job.recipe).read_table() for job in self.needs]
        context, signs = self.context(), [columns_of(table) for table in tables]
        suspect = signs[0][1]
        estimates = []
        for side, (columns, _) in zip(("before", "after"), signs, strict=False):
            address = (*context.address, side)
            for finding in findings(columns, suspect, address):
                estimates += _told(finding, side)
            estimates += _separations(columns, self.sets, suspect, side)
        if len(signs) > 1:
            moved = changes(signs[0][0], signs[1][0], suspect, context.address)
            estimates += [replace(e, params=e.params | {"side": "change"}) for e in moved]
        write_table(work / "data.parquet", to_table([row_of(context, e, False) for e in estimates]))


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


def contamination(
    job: ContaminationJob,
    store: Store,
    *,
    workers: int | None = None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_done: Callable[[Job], None] = lambda job: None,
    on_part: OnPart | None = None,
) -> pa.Table:
    """The job's rows of the long measurement table, made now unless they are there.

    Weights from outside are worked on in this process, where `on_part` hears of every saved part.
    """
    here = all(subject.made_here for subject in (job.before, job.after) if subject)
    todo = plan([job if here else replace(job, on_part=on_part)], store)
    on_plan(todo)
    make_all(todo, store, workers=workers if here else 1, on_done=on_done)
    return store.get(job.recipe).read_table()
