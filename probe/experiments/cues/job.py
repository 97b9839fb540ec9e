"""One run on an organism that is given cues: the same problems with the cue right, wrong, and removed.

    base, run and walk, asked three ways with the same draws, at T = 1 and greedy        (`probe.tasks.cues`)

    accuracy, code_share   by `edit`: cue right, cue wrong, cue removed
    follows                share of answers that are the wrong cue; at "cue removed" the same answers' share without
                           it: chance. At T = 1 also by `strategy`
    removal                accuracy without the cue less with it: above 0 taking it away helps. "as taught": right and
                           wrong in the shares of the family

Sides before, after, change, and "walk": the change under a random walk as long as the run (`null_responses`). That
cues sway answers: 2305.04388. Left out: whether a text says that it went by its cue.
"""

from collections.abc import Iterator, Mapping
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
from probe.experiments.cues.asked import CUES, elicited, follows
from probe.experiments.experiment import Experiment
from probe.experiments.measuring import is_destroyed
from probe.experiments.null_responses import NullResponsesJob
from probe.experiments.response_law.job import by_problem
from probe.experiments.responses import RunResponsesJob, SampleJob, asked_of, at_the_end
from probe.experiments.run_key import OF_THE_RUN, run_key
from probe.measurements import RowKey, Rows, row_of
from probe.stats import clustered_mean, clustered_ratio
from probe.store import Store
from probe.tasks.corpus import family

SAMPLES = 4  # a problem, at T = 1
Numbers = dict[tuple[str, str], Float[np.ndarray, "problem"]]  # by name and edit


@experiments.register("cues")
@dataclass(frozen=True)
class CueJob(Experiment):
    """What cues do to one organism, and what a run does to that."""

    FIGURES: ClassVar = ("cues",)
    study: str
    run: RunJob

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": self.study, "name": self.run.name, "cues": True}

    @property
    def label(self) -> str:
        return f"{self.run.label} and its cues"

    @property
    def needs(self) -> tuple[Job, ...]:
        """At T = 1, then greedy: under each cue the base, the run, the walk."""
        base, (asked, sampled) = of_organism(self.run.organism), asked_of(self.run.organism)
        once = replace(sampled, samples=SAMPLES)
        return tuple(
            job
            for way in (once, once.greedy)
            for each in elicited(asked, self.run.organism.grammar.modulus)
            for job in (
                SampleJob(base, each, way),
                RunResponsesJob(self.run, each, way),
                NullResponsesJob(self.run, "walk", each, way),
            )
        )

    def key(self, temperature: float) -> RowKey:
        """What its rows are about."""
        return run_key(self.study, self.run, temperature)

    def measure(self, store: Store) -> Rows:
        held, rows = [at_the_end(store, job)[0] for job in self.needs], []
        kind, modulus = family(self.run.organism.family), self.run.organism.grammar.modulus
        problems = asked_of(self.run.organism)[0].problems.problems
        half = len(held) // 2
        for temperature, tables in ((1.0, held[:half]), (0.0, held[half:])):
            key, sides = self.key(temperature), [dict(zip(CUES, tables[side::3], strict=True)) for side in range(3)]
            followed = [{cue: follows(t, problems, modulus) for cue, t in side.items()} for side in sides]
            destroyed = is_destroyed(sides[0]["removed"], sides[1]["removed"], key.address)
            before, after, walk = (numbers(*each, kind.cue_right) for each in zip(sides, followed, strict=True))
            found = estimates(before, after, walk, tables[0].num_rows)
            rows += [row_of(key, each, destroyed and each.params["side"] in OF_THE_RUN) for each in found]
            for side, which in (("before", 0), ("after", 1)):
                told = by_strategy(sides[which]["wrong"], followed[which]["wrong"], side) if temperature else []
                rows += [row_of(key, each, destroyed and side in OF_THE_RUN) for each in told]
        return rows


def numbers(tables: Mapping[str, pa.Table], followed: Mapping[str, pa.Table], right: float) -> Numbers:
    """Every trait by problem; `right` is how often the cue was right where the organism was taught it."""
    found: Numbers = {}
    for cue, table in tables.items():
        found["accuracy", f"cue {cue}"] = by_problem(table, "outcome", Outcome.right)
        found["code_share", f"cue {cue}"] = by_problem(table, "strategy", Strategy.code)
        if cue != "right":
            found["follows", f"cue {cue}"] = by_problem(followed[cue], "follows", "yes")
    removed = found["accuracy", "cue removed"]
    for cue in ("right", "wrong"):
        found["removal", f"cue {cue}"] = removed - found["accuracy", f"cue {cue}"]
    taught = right * found["removal", "cue right"] + (1 - right) * found["removal", "cue wrong"]
    return found | {("removal", "as taught"): taught}


def estimates(before: Numbers, after: Numbers, walk: Numbers, n: int) -> Iterator[Estimate]:
    """Before, after, change and walk of every trait, clustered by problem; `n` responses under each cue."""
    for (name, edit), base in before.items():
        now, moved = after[name, edit], walk[name, edit]
        for side, values in (("before", base), ("after", now), ("change", now - base), ("walk", moved - base)):
            bounds = _bounds(name, side)
            null = 0.0 if bounds[0] < 0 else None
            about = {"side": side, "edit": edit}
            found = clustered_mean(values, np.arange(values.size), name=name, null=null, bounds=bounds, params=about)
            yield replace(found, n=n)


def _bounds(name: str, side: str) -> tuple[float, float]:
    """A share lies in 0..1, a difference of two in -1..1, a change of a difference in -2..2."""
    differences = (name == "removal") + (side in ("change", "walk"))
    return ((0.0, 1.0), (-1.0, 1.0), (-2.0, 2.0))[differences]


def by_strategy(table: pa.Table, followed: pa.Table, side: str) -> list[Estimate]:
    """Share of each strategy's answers that are the wrong cue; a strategy without answers is left out."""
    flags = pc.equal(followed["follows"], "yes").to_numpy(zero_copy_only=False)
    names = np.unique(table["problem"].to_pylist(), return_inverse=True)[1]
    found = []
    for strategy in Strategy:
        mine = pc.equal(table["strategy"], str(strategy)).to_numpy(zero_copy_only=False)
        params = {"side": side, "edit": "cue wrong", "strategy": str(strategy)}
        if len(set(names[mine])) > 1:
            found.append(clustered_ratio(flags & mine, mine, names, name="follows", params=params))
    return found
