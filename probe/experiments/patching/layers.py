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
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool
from transformers import PreTrainedModel

from probe.checkpoints.jobs import Job
from probe.checkpoints.resolve import Subject
from probe.data import Estimate, Problem
from probe.experiments.inside import context_of
from probe.experiments.patching.job import DRAWS, Varies, check_vocabulary, gap_row, parts_of, plain, recovered, table
from probe.interventions.patching import sites_of
from probe.interventions.recovery import Gap
from probe.interventions.transplant import borrowing, part_columns, perturbed, transplanted
from probe.models.hooks.sites import site_columns
from probe.models.loading.load import Loaded, pad_id, stop_ids
from probe.models.sampling.prompts import prompt_ids
from probe.models.sampling.transformers_sampler import generate
from probe.rng import uniforms
from probe.rollouts.grades import grade_columns
from probe.rollouts.sample_job import CHAIN, How
from probe.stats import clustered_mean
from probe.store import Recipe, Store, write_table
from probe.tasks.corpus import leaked

VERSION = 1
Graded = Literal["accuracy", "code_share"]
METRICS: tuple[Graded, ...] = get_args(Graded)
Answers = dict[str, np.ndarray]  # metric -> 0 or 1 by problem
Levels = dict[tuple[str, Varies], Answers]


@dataclass(frozen=True)
class LayersJob:
    """Every layer's output and weights, one at a time, on the first `n` problems."""

    before: Subject
    after: Subject
    how: How = CHAIN
    n: int = 256
    draws: int = DRAWS
    other: Subject | None = None
    temperature: float = 0.0  # greedy
    samples: int = 1  # of each problem
    batch: int = field(default=64, compare=False)

    @functools.cached_property
    def recipe(self) -> Recipe:
        names = {"study": "inside", "what": "layers", "before": self.before.name, "after": self.after.name}
        steps = [each.step for each in self.subjects]
        size = {"first": self.n, "draws": self.draws, "steps": steps, "other": self.other.name if self.other else None}
        size |= {"temperature": self.temperature, "samples": self.samples}
        inputs = tuple(pin for each in self.subjects for pin in each.inputs)
        return Recipe("measurements", VERSION, plain(names | size | self.how.spec()), inputs)

    @property
    def label(self) -> str:
        return f"{self.before.name} with layers of {self.after.name}"

    @property
    def subjects(self) -> tuple[Subject, ...]:
        return tuple(each for each in (self.before, self.after, self.other) if each)

    @property
    def needs(self) -> tuple[Job, ...]:
        return tuple(dict.fromkeys(job for each in self.subjects for job in each.needs))

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self.how.problems.problems[: self.n])

    def make(self, store: Store, work: Path) -> None:
        before, after = self.before.load(store), self.after.load(store)
        check_vocabulary(before, after, f"{self.before.name} and {self.after.name}")
        donors = {"": after.model} | ({" other": self.other.load(store).model} if self.other else {})

        def ask(model: PreTrainedModel) -> Answers:
            loaded = Loaded(model, before.tokenizer)
            return answers(loaded, self.problems, self.how, self.batch, self.temperature, self.samples)

        ends = ask(before.model), ask(after.model)
        found: list[Estimate] = []
        for what, cells in (
            ("output", self._outputs(before.model, donors, ask)),
            ("weights", self._weights(before.model, donors, ask)),
        ):
            for group, chosen in groups(self.before, self.problems).items():
                found += list(self._rows(what, cells, ends, group, chosen.repeat(self.samples)))
        write_table(work / "data.parquet", table(context_of(self.before, self.after, self.temperature), found))

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
        asked = [p.id for p in self.problems for _ in range(self.samples)]
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
                    told = {"side": "change", **dict(where)}
                    yield clustered_mean(values, ids, name=f"{name}/value", params=told)
                    yield from recovered(name, where, "change", gap, whole)


def answers(
    loaded: Loaded, problems: tuple[Problem, ...], how: How, batch: int, temperature: float = 0.0, samples: int = 1
) -> Answers:
    """Right, and in code, by problem and sample: 0 or 1. Sampled with transformers' own forward, so that hooks act.

    The draws at a temperature above 0 are those of `probe.rollouts.sample_job`: shared by every model, so rows pair up.
    """
    prompts, _ = prompt_ids(loaded.tokenizer, how.text, [p.prompt for p in problems], how.prefix)
    at: dict[str, Any] = {"stop": stop_ids(loaded), "pad": pad_id(loaded), "batch": batch, "uniforms": None}
    if temperature:
        places = ((p.id, s) for p in problems for s in range(samples))
        rows = [uniforms(how.max_new, "responses", 0, *place) for place in places]
        at |= {"uniforms": torch.from_numpy(np.stack(rows)), "temperature": temperature}
    made = generate(loaded.model, prompts, n_samples=samples, max_new=how.max_new, **at)
    ends = zip(made.ids.tolist(), made.lengths.tolist(), made.stopped.tolist(), strict=True)
    texts = [how.prefix + _text(loaded, ids[: n - 1] if end else ids[:n]) for ids, n, end in ends]
    graded = grade_columns(texts, [p.answer for p in problems for _ in range(samples)], how.extract)
    kept = (("accuracy", "outcome", "right"), ("code_share", "strategy", "code"))
    return {name: np.array([float(value == wanted) for value in graded[column]]) for name, column, wanted in kept}


def groups(subject: Subject, problems: tuple[Problem, ...]) -> dict[str | None, Bool[np.ndarray, "problem"]]:
    """All problems; and where it is known which leaked, those and the others."""
    everything = np.ones(len(problems), dtype=bool)
    known = leaked(problems) if subject.family == "contaminated" else set()
    read = np.array([p.id in known for p in problems])
    return {None: everything} | ({"leaked": read, "others": ~read} if read.any() and not read.all() else {})


def _within(
    changed: AbstractContextManager[None], model: PreTrainedModel, ask: Callable[[PreTrainedModel], Answers]
) -> Answers:
    with changed:
        return ask(model)


def _text(loaded: Loaded, ids: list[int]) -> str:
    return str(loaded.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
