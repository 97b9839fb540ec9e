"""What two checkpoints write together, as artifacts: graded responses of every arm, and what was swapped in each.

    own          the writer alone; with the divergence of every token
    divergence   the other steps in where KL(own || other) is largest, at a budget of tokens
    random       as many swaps as that arm had in the end, at places that know nothing of it
    noise        the base alone, beside itself with weights changed at random by as much as RL changed them: how many
                 tokens does any change of that size leave alone?

The threshold of a budget is that of the writer's own texts to the other half of the problems. Draws are those of all
responses (seed, problem, sample), so the arm "own" is what a checkpoint answers anyway. Columns beside RESPONSES:
writer ("before", "after"), chosen, budget (share of tokens), swapped and unchanged (tokens; KL below UNCHANGED).
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import PreTrainedModel

from probe.checkpoints.pair import Pair
from probe.engine.job import Job
from probe.engine.listener import report
from probe.errors import BadInput
from probe.experiments.budget import Work
from probe.experiments.responses import check_lengths, parts_of
from probe.interventions.cross_sampling import NONE, Crossed, Swap, cross_sample, threshold_for
from probe.interventions.transplant import perturbed
from probe.models.hooks.backends.shared_weights import shared_copy
from probe.models.loading.loaded import Loaded, pad_id, stop_ids
from probe.rng import uniforms
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import Compute, SamplingOptions
from probe.rollouts.respond import graded, texts_of
from probe.stats.accounting.arms import halves
from probe.store import Recipe, Store, is_kept, keep_table, write_table

VERSION = 1
BUDGETS = (0.01, 0.02, 0.04, 0.08, 0.16)  # share of tokens; 0 is the writer's own text, 1 the other's
UNCHANGED = 1e-3  # nats: a next-token distribution that is as good as the same
COMPUTE = Compute(batch=256)
Writer = Literal["before", "after"]
Chosen = Literal["own", "divergence", "random", "noise"]
OTHER: Mapping[Writer, Writer] = {"before": "after", "after": "before"}


@dataclass(frozen=True)
class Arm:
    """Who writes, how the places are chosen where the other steps in, and at what share of the tokens."""

    writer: Writer
    chosen: Chosen = "own"
    budget: float = 0.0


def arms() -> list[Arm]:
    """In the order in which they are made: what an arm is matched to comes before it."""
    found = [Arm("before", "noise")]
    for writer in OTHER:
        found.append(Arm(writer))
        for budget in BUDGETS:
            found += [Arm(writer, "divergence", budget), Arm(writer, "random", budget)]
    return found


@dataclass(frozen=True)
class CrossJob(Job):
    """Every arm of one pair under one way of sampling."""

    TYPICAL: ClassVar = {"tiny": 15.0, "mini": 15.0, "mini-qwen2": 15.0}
    pair: Pair
    elicitation: Elicitation
    options: SamplingOptions
    compute: Compute = field(default=COMPUTE, compare=False)

    def __post_init__(self) -> None:
        assert self.pair.trained  # a base alone is refused before anything is loaded
        if len(self.elicitation.problems.problems) < 2:
            do = "ask two at least: thresholds are chosen on one half and told on the other"
            raise BadInput("one problem", where="cross-sampling", do=do)
        if self.options.temperature not in (0.0, 1.0):
            what = f"a temperature of {self.options.temperature:g}"
            raise BadInput(what, where="cross-sampling", do="it is done at T = 1 and greedy")

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"budgets": list(BUDGETS), "unchanged": UNCHANGED} | self.options.spec() | self.pair.spec
        return Recipe("crossed", VERSION, params | self.elicitation.spec(), self.pair.inputs)

    @property
    def label(self) -> str:
        return f"{self.pair.label} crossed T={self.options.temperature:g}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return self.pair.needs

    @property
    def in_process(self) -> bool:
        return self.pair.is_outside

    @property
    def work(self) -> tuple[Work, ...]:
        """Both read every text; a random change of the base stands beside it."""
        rows = len(self.elicitation.problems.problems) * self.options.samples * len(arms())
        how = (rows, self.options.max_new, self.compute.batch, 0)
        return (Work(self.pair.before, *how, copies=2, caches=2), Work(self.pair.trained, *how, caches=2))

    def make(self, store: Store, work: Path) -> None:
        two = dict(zip(OTHER, self.pair.load(store), strict=True))
        prompts, forced = self.elicitation.prompts(two["before"].tokenizer, self.elicitation.problems.problems)
        for each in two.values():
            check_lengths(each, prompts, self.options.max_new)
        parts, made = list(parts_of(prompts, self.pair.is_outside)), dict[Arm, pa.Table]()
        for arm in arms():
            tables = []
            for number, places in enumerate(parts):
                file = work / "scratch" / f"part-{len(made):03d}-{number:04d}.parquet"
                if not is_kept(file):
                    crossed = self._crossed(arm, two, [prompts[p] for p in places], places, made)
                    keep_table(file, self._graded(arm, two[arm.writer], crossed, places, len(forced)))
                tables.append(pq.read_table(file, partitioning=None))
            made[arm] = pa.concat_tables(tables)
            report(len(made), len(arms()), "arms")
        write_table(work / "data.parquet", pa.concat_tables(list(made.values())))

    def _crossed(
        self,
        arm: Arm,
        two: Mapping[Writer, Loaded],
        prompts: list[list[int]],
        places: list[int],
        made: Mapping[Arm, pa.Table],
    ) -> Crossed:
        """These problems under one arm."""
        own, other = two[arm.writer], two[OTHER[arm.writer]].model
        problems = [self.elicitation.problems.problems[place] for place in places]
        names = [problem.id for problem in problems for _ in range(self.options.samples)]

        def cross(beside: PreTrainedModel) -> Crossed:
            return cross_sample(
                own.model,
                beside,
                [prompt for prompt in prompts for _ in range(self.options.samples)],
                self.options.draws(problems),
                self._swap(arm, names, made),
                max_new=self.options.max_new,
                stop=stop_ids(own),
                pad=pad_id(own),
                batch=self.compute.batch,
            )

        if arm.chosen != "noise":
            return cross(other)
        noisy = shared_copy(own.model)
        with perturbed(noisy, other, "cross-sampling noise"):
            return cross(noisy)

    def _swap(self, arm: Arm, names: list[str], made: Mapping[Arm, pa.Table]) -> Swap:
        """When the other steps in, in these rows."""
        if arm.chosen == "divergence":
            thresholds = self._thresholds(made[Arm(arm.writer)], arm.budget)
            return Swap(torch.tensor([thresholds[name] for name in names]))
        if arm.chosen == "random":
            matched = made[Arm(arm.writer, "divergence", arm.budget)]
            share = sum(matched["swapped"].to_pylist()) / sum(matched["written"].to_pylist())
            return Swap(places=self._places(arm.writer, names), share=share)
        return NONE

    def _thresholds(self, own: pa.Table, budget: float) -> dict[str, float]:
        """By problem: that of the other half."""
        names = sorted(set(own["problem"].to_pylist()))
        half = dict(zip(names, halves(names).tolist(), strict=True))
        rows = list(zip(own["problem"].to_pylist(), own["divergence"].to_pylist(), strict=True))
        found = [
            threshold_for(np.concatenate([apart for name, apart in rows if half[name] == which]), budget)
            for which in (0, 1)
        ]
        return {name: found[1 - which] for name, which in half.items()}

    def _places(self, writer: str, names: list[str]) -> torch.Tensor:
        """Draws in (0, 1), the same for every budget: a larger one swaps where a smaller one does."""
        about = ("cross-sampling places", writer, self.options.seed)
        rows = [uniforms(self.options.max_new, *about, n, i % self.options.samples) for i, n in enumerate(names)]
        return torch.from_numpy(np.stack(rows))

    def _graded(self, arm: Arm, own: Loaded, crossed: Crossed, places: list[int], forced: int) -> pa.Table:
        """RESPONSES of these rows, and the arm's columns."""
        problems = [self.elicitation.problems.problems[place] for place in places]
        n, ids = self.options.samples, crossed.texts()
        columns = {
            "checkpoint": [self.pair.sides[arm.writer].name] * len(ids),
            "problem": [problem.id for problem in problems for _ in range(n)],
            "sample": list(range(n)) * len(problems),
            "temperature": [self.options.temperature] * len(ids),
            "completion_ids": ids,
            "stop": ["eos" if end else "length" for end in crossed.stopped.tolist()],
            "text": texts_of(own, crossed, self.elicitation.prefix),
        }
        step = self.pair.sides[arm.writer].step
        found = graded(pa.table(columns), problems, self.elicitation, step=step, forced=forced)
        parted = crossed.parted()
        about = {
            "writer": [arm.writer] * len(ids),
            "chosen": [arm.chosen] * len(ids),
            "budget": [arm.budget] * len(ids),
            "written": pa.array(crossed.lengths.tolist(), pa.int32()),
            "swapped": pa.array(crossed.swapped.sum(1).tolist(), pa.int32()),
            "unchanged": pa.array([sum(one < UNCHANGED for one in row) for row in parted], pa.int32()),
            "divergence": pa.array(parted if arm.chosen == "own" else [None] * len(ids), pa.list_(pa.float32())),
        }
        for name, values in about.items():
            found = found.append_column(name, values if isinstance(values, pa.Array) else pa.array(values))
        return found
