"""How few latents do what RL did to the share of code, and how few undo it? The answers that the search asks for.

    share(set) = (code share with the set turned - without) / (RL's change of it)        .8 of it is enough
    before: the first latents of the ranking turned to d = 1, as RL's change goes        after: to d = -1, back again

The search (`minimal_set.smallest_prefix`) goes by the half of the problems that chose the ranking; the share of what it
finds is told on the other half (`dose_estimates`). Where RL's change may be none nothing is searched. The artifact
holds all answers at every size that was tried, 0 being nothing turned; killed, it goes on from there.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from probe.dictionaries.causes.minimal_set import MinimalSet, smallest_prefix
from probe.engine.job import Job
from probe.engine.listener import report
from probe.experiments.budget import Work
from probe.experiments.dictionaries.comparisons import Comparisons
from probe.experiments.dictionaries.doses import COMPUTE, ONE, Bench, inputs, needs
from probe.experiments.dictionaries.fit_job import BEFORE_AFTER
from probe.experiments.dictionaries.turned import Arm, turnable
from probe.interventions.recovery import Gap, share
from probe.interventions.steering import Part, Where, part_of
from probe.rollouts.options import Compute, SamplingOptions
from probe.rollouts.respond import Request
from probe.store import Recipe, Store, is_kept, keep_table, write_table

VERSION = 1
ENOUGH, MOST = 0.8, 32  # of RL's change; latents of the ranking that may be turned at once
SEARCH = "search"
Key = tuple[str, int]  # side, size
Values = Float[np.ndarray, "row"]


@dataclass(frozen=True)
class SmallestSetsJob(Job):
    """Both models of a pair."""

    TYPICAL: ClassVar = {"tiny": 4.0}
    comparisons: Comparisons
    where: Where = "fork"
    options: SamplingOptions = ONE
    compute: Compute = field(default=COMPUTE, compare=False)

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"where": self.where, "most": MOST, "enough": ENOUGH} | self.options.spec()
        params |= self.comparisons.elicitation.spec()
        return Recipe("smallest-sets", VERSION, params, inputs(self.comparisons))

    @property
    def label(self) -> str:
        return f"{self.comparisons.pair.label} smallest sets at {self.comparisons.site}, {self.where}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return needs(self.comparisons)

    @property
    def in_process(self) -> bool:
        return self.comparisons.pair.is_outside

    @property
    def work(self) -> tuple[Work, ...]:
        """Both are there at once: sizes up to MOST by doubling, then by halves."""
        tried = 2 * MOST.bit_length() + 1
        rows = len(self.comparisons.elicitation.problems.problems) * self.options.samples * tried
        pair = self.comparisons.pair
        return tuple(Work(each, rows, self.options.max_new, self.compute.batch) for each in (pair.before, pair.trained))

    def make(self, store: Store, work: Path) -> None:
        asked = self.comparisons.elicitation
        request = Request(asked.problems.problems, asked, self.options, self.compute)
        models = self.comparisons.pair.load(store)
        benches = {
            side: Bench(loaded, request, turnable(store, self.comparisons, side), self.where)
            for side, loaded in zip(BEFORE_AFTER, models, strict=True)
        }
        tried: dict[Key, pa.Table] = {}

        def code_at(side: str, dose: float, size: int) -> Values:
            file = work / "scratch" / f"{side}-{size:04d}.parquet"
            if not is_kept(file):
                keep_table(file, _answers(benches[side], side, dose, size))
            tried[side, size] = pq.read_table(file, partitioning=None)
            report(len(tried), max(len(tried), 2 * MOST.bit_length()), "sets")
            return _code(tried[side, size])

        plain = {(side, 0): code_at(side, 0.0, 0) for side in BEFORE_AFTER}
        answers = Answers(plain, _problems(tried))
        for side in BEFORE_AFTER if not answers.gap("before", "choose").undefined else ():
            of = benches[side].of
            answers.search(side, of.ranking, functools.partial(code_at, side, answers.dose(side)))
        write_table(work / "data.parquet", pa.concat_tables([tried[key] for key in sorted(tried)]))


def _answers(bench: Bench, side: str, dose: float, size: int) -> pa.Table:
    """With the first `size` latents of the ranking turned; nothing turned is size 0."""
    of = bench.of
    told = bench.answers(Arm(SEARCH, size, dose), of.change(of.ranking[:size], dose) if size else None)
    return told.append_column("side", pa.array([side] * told.num_rows))


@dataclass(frozen=True, eq=False)
class Answers:
    """Code or not, by side and size, on the same problems and samples."""

    code: dict[Key, Values]
    problems: np.ndarray

    @classmethod
    def read(cls, table: pa.Table) -> "Answers":
        """From the artifact."""
        found = dict(_pieces(table))
        return cls({key: _code(each) for key, each in found.items()}, _problems(found))

    def dose(self, side: str) -> float:
        """As RL's change goes in the base, back again in what RL made of it."""
        start, end = (self.code[each, 0].mean() for each in BEFORE_AFTER)
        return float(np.sign(end - start)) * (1.0 if side == "before" else -1.0)

    def rows(self, part: Part) -> np.ndarray:
        """Which rows belong to a half of the problems."""
        return np.array([part_of(name) == part for name in self.problems.tolist()])

    def gap(self, side: str, part: Part) -> Gap:
        """From this side's own share of code to the other's."""
        rows, other = self.rows(part), BEFORE_AFTER[1 - BEFORE_AFTER.index(side)]
        return Gap(self.code[side, 0][rows], self.code[other, 0][rows], self.problems[rows].tolist())

    def search(self, side: str, ranking: tuple[int, ...], code_at: Callable[[int], Values]) -> MinimalSet:
        """By the half that chooses. The gap must be defined there."""
        gap, rows = self.gap(side, "choose"), self.rows("choose")
        return smallest_prefix(lambda latents: share(code_at(len(latents))[rows], gap), ranking[:MOST], ENOUGH)


def _pieces(table: pa.Table) -> Iterator[tuple[Key, pa.Table]]:
    sides, sizes = table["side"].to_pylist(), table["k"].to_pylist()
    keys = list(zip(sides, sizes, strict=True))
    for key in dict.fromkeys(keys):
        yield key, table.filter(pa.array([each == key for each in keys]))


def _code(table: pa.Table) -> Values:
    return table["code_share"].to_numpy(zero_copy_only=False).astype(float)


def _problems(tables: dict[Key, pa.Table]) -> np.ndarray:
    return np.array(next(iter(tables.values()))["problem"].to_pylist())
