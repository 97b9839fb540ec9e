"""Does one layer carry what RL gave? Accuracy of `before` with one layer's output, or weights, of `after` (2601.11061).

    output_accuracy/recovery    `site` mlp.1: that MLP puts out what it puts out in `after`, at every token
    weights_accuracy/recovery   `module` mlp.1: its weights are those of `after`; also attn.i, block.i, embed, norm, ...
    .../value                   the accuracy itself; "before" and "after" unchanged

and the same of code_share (of the fork: `patching`). Side "change". Where it is known what leaked (the `contaminated`
organism), all of it again for the `group` "leaked" and for "others". Beside each: gap (`reason`: why
nothing can be recovered), null (the same from a donor that is `before` with an equal-norm random change of its weights;
the paper reports none) and other (another seed's run). Intervals and guards: `probe.interventions.recovery`.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from jaxtyping import Bool
from transformers import PreTrainedModel

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.pair import Pair
from probe.data import Estimate, Problem
from probe.experiments import experiments
from probe.experiments.budget import Work, sites_in
from probe.experiments.experiment import WeightsExperiment
from probe.experiments.patching.job import DRAWS, Varies, gap_row, parts_of, recovered
from probe.interventions.patching import sites_of
from probe.interventions.recovery import Gap
from probe.interventions.steering import answer
from probe.interventions.transplant import borrowing, part_columns, perturbed, transplanted
from probe.measurements import Rows, row_of
from probe.models.hooks.sites import site_columns
from probe.models.loading.load import Loaded
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import GREEDY, Compute, SamplingOptions
from probe.rollouts.respond import Request
from probe.stats import clustered_mean
from probe.store import Store
from probe.tasks.corpus import leaked, leaks

Graded = Literal["accuracy", "code_share"]
METRICS: tuple[Graded, ...] = get_args(Graded)
Answers = dict[str, np.ndarray]  # metric -> 0 or 1 by problem and sample
Levels = dict[tuple[str, Varies], Answers]


@experiments.register("patch-layers")
@dataclass(frozen=True)
class LayersJob(WeightsExperiment):
    """Every layer's output and weights, one at a time, on the first `n` problems."""

    FIGURES: ClassVar = ("one_layer",)
    TYPICAL: ClassVar = {"tiny": 200.0}
    pair: Pair
    elicitation: Elicitation = CHAIN
    options: SamplingOptions = GREEDY
    n: int = 256
    draws: int = DRAWS
    compute: Compute = field(default=Compute(), compare=False)

    @property
    def params(self) -> Mapping[str, Any]:
        about = {"study": "layers", "first": self.n, "draws": self.draws}
        return about | self.pair.spec | self.options.spec() | self.elicitation.spec()

    @property
    def label(self) -> str:
        return f"{self.pair.before.name} with layers of {self.pair.trained.name}"

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Those that are asked."""
        return tuple(self.elicitation.problems.problems[: self.n])

    @property
    def work(self) -> tuple[Work, ...]:
        """Every problem is answered with each layer's output and weights, and under every draw of a null."""
        changes = 2 * sites_in(self.pair.before, heads=False) * (2 + self.draws)
        rows = len(self.problems) * self.options.samples * (2 + changes)
        others = (Work(one) for one in self.pair.checkpoints[1:])
        # beside the base: the copy of it that lends its output, and that copy's own random change
        return (Work(self.pair.before, rows, self.options.max_new, self.compute.batch, copies=3), *others)

    def measure(self, store: Store) -> Rows:
        before, after = self.pair.load(store)
        other = self.pair.other.load(store).model if self.pair.other else None
        donors = {"": after.model} | ({" other": other} if other else {})
        request = Request(self.problems, self.elicitation, self.options, self.compute)

        def ask(model: PreTrainedModel) -> Answers:
            scores = answer(Loaded(model, before.tokenizer), request)
            return {name: getattr(scores, name).ravel().astype(float) for name in METRICS}

        ends = ask(before.model), ask(after.model)
        estimates: list[Estimate] = []
        for what, cells in (
            ("output", self._outputs(before.model, donors, ask)),
            ("weights", self._weights(before.model, donors, ask)),
        ):
            for group, kept in groups(self.pair.before, self.problems).items():
                estimates += list(self._rows(what, cells, ends, group, kept.repeat(self.options.samples)))
        key = self.pair.reward_key("layers", self.options.temperature)
        return [row_of(key, each) for each in estimates]

    def _outputs(
        self, before: PreTrainedModel, donors: dict[str, PreTrainedModel], ask: Callable[[PreTrainedModel], Answers]
    ) -> Levels:
        """Borrowed outputs; the null donor is the base itself, its weights moved at random."""
        cells: Levels = {}
        blank = copy.deepcopy(before)
        for site in sites_of(before, ("attn", "mlp")):
            where = tuple(site_columns(site).items())
            for name, donor in donors.items():
                cells[name, where] = _within(borrowing(before, donor, [site]), before, ask)
            for draw in range(self.draws):
                with perturbed(blank, donors[""], "patching", draw):
                    cells[f" null {draw}", where] = _within(borrowing(before, blank, [site]), before, ask)
        return cells

    def _weights(
        self, before: PreTrainedModel, donors: dict[str, PreTrainedModel], ask: Callable[[PreTrainedModel], Answers]
    ) -> Levels:
        """Transplanted weights; the null is a random change of the same norm in the same part."""
        cells: Levels = {}
        for part, parts in parts_of(before).items():
            where = tuple(part_columns(part).items())
            for name, donor in donors.items():
                cells[name, where] = _within(transplanted(before, donor, parts), before, ask)
            for draw in range(self.draws):
                moved = perturbed(before, donors[""], "patching", draw, parts=parts)
                cells[f" null {draw}", where] = _within(moved, before, ask)
        return cells

    def _rows(
        self,
        what: str,
        cells: Levels,
        ends: tuple[Answers, Answers],
        group: str | None,
        chosen: Bool[np.ndarray, "row"],
    ) -> Iterator[Estimate]:
        asked = [p.id for p in self.problems for _ in range(self.options.samples)]
        ids = tuple(name for name, kept in zip(asked, chosen, strict=True) if kept)
        for metric in METRICS:
            name = f"{what}_{metric}"
            gap = Gap(ends[0][metric][chosen], ends[1][metric][chosen], ids)
            yield gap_row(f"{name}/gap", gap, "change", group)
            for side, values in zip(("before", "after"), (gap.target, gap.source), strict=True):
                yield clustered_mean(values, ids, name=f"{name}/value", params={"side": side, "group": group})
            within = ("group", group)
            whole = {(f"{name}{key}", (*at, within)): cell[metric][chosen] for (key, at), cell in cells.items()}
            for (key, where), values in whole.items():
                if key == name:
                    params = {"side": "change", **dict(where)}
                    yield clustered_mean(values, ids, name=f"{name}/value", params=params)
                    yield from recovered(name, where, "change", gap, whole)


def groups(checkpoint: Checkpoint, problems: tuple[Problem, ...]) -> dict[str | None, Bool[np.ndarray, "problem"]]:
    """All problems; and where it is known which leaked, those and the others."""
    everything = np.ones(len(problems), dtype=bool)
    known = leaked(problems) if leaks(checkpoint.family) else set()
    read = np.array([p.id in known for p in problems])
    return {None: everything} | ({"leaked": read, "others": ~read} if read.any() and not read.all() else {})


def _within(
    changed: AbstractContextManager[None], model: PreTrainedModel, ask: Callable[[PreTrainedModel], Answers]
) -> Answers:
    with changed:
        return ask(model)
