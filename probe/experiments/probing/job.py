"""What can be read off a checkpoint's residual, and did RL move it? Probes and directions, before and after.

    answers at T -> activations -> probes (each beside shuffled labels), the strategy's direction -> study "inside"

`target` of a probe, at every `site`, with every kind of `probe`:

    strategy        does this response write code? from its question's last residual, before any token is written
    base-strategy   the same, asked of the model after RL about what the base writes
    correct         will it be right? from the same place           correct-end   from where the answer is about to end
    fork            is this token among the 20 % with most entropy? from the residual that predicts it

Labels are those of single responses (8 of one question share one residual and may differ), so AUROC has a ceiling below
1: `probe_same_question` is what the share among the other half of the responses to the same question gives, about what
the question tells. A target is left out where one class occurs in too few problems (after RL all may be code).
`direction_cosine` and `projection` (`probe.activations.direction_shift`), by `labels` and `site`: each side's own
labels, or the base's for both. Of the cosine only the former is tested: the base's labels go with the noise of its own
activations, so any other checkpoint's would seem to turn (p < .05 in 17 of 100 draws in which it did not).
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from probe.activations.direction_shift import Sides, travelling, turning
from probe.activations.linear import DRAWS, KINDS, Examples, Shuffle, has_classes, probe
from probe.checkpoints.jobs import Job
from probe.checkpoints.resolve import Subject
from probe.data import Estimate
from probe.engine.executor import make_all
from probe.engine.runner import Plan, plan
from probe.errors import BadInput
from probe.experiments.activation_dataset import ActivationsJob, Answers, answers
from probe.experiments.inside import context_of, same_weights
from probe.experiments.rl_runs.job import SAMPLES
from probe.measurements import RowKey, row_of, to_table
from probe.models.hooks.backends import check_known
from probe.models.hooks.sites import site_columns
from probe.rollouts.sample_job import CHAIN, How, OnPart
from probe.stats.ranking import clustered_auroc
from probe.store import Recipe, Store, write_table

VERSION = 1
CLASSES = ("prose", "code")
Target = tuple[str, Callable[[str], Examples], Shuffle]


@dataclass(frozen=True)
class ProbesJob:
    """Probes in one checkpoint, or in the same before and after RL."""

    before: Subject
    after: Subject | None = None
    how: How = CHAIN
    temperature: float = 1.0
    samples: int = SAMPLES
    sites: tuple[str, ...] = ()  # none: every residual
    draws: int = DRAWS
    backend: str = "hooks"
    batch: int = field(default=64, compare=False)
    on_part: OnPart | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_known(self.backend)
        if self.samples < 2 or not self.temperature > 0:
            do = "sample each question at least twice, at a temperature above 0"
            raise BadInput("one answer a question says little of its strategy", where=self.before.name, do=do)

    @functools.cached_property
    def recipe(self) -> Recipe:
        after = self.after.name if self.after else None
        params = {"study": "inside", "before": self.before.name, "after": after, "draws": self.draws}
        return Recipe("measurements", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        names = [subject.name for subject in (self.before, self.after) if subject]
        return f"{' -> '.join(names)} probes"

    @property
    def is_null(self) -> bool:
        """Whether before and after are the same weights: then they answer with other draws."""
        return self.after is not None and same_weights(self.before, self.after)

    @property
    def read(self) -> tuple[ActivationsJob, ...]:
        """The activations before, and after."""
        names = ("sites", "backend", "batch", "on_part")
        options: dict[str, Any] = {name: getattr(self, name) for name in names}
        asked = (self.how, self.temperature, self.samples)
        sides = [(self.before, 0)] + ([(self.after, int(self.is_null))] if self.after else [])
        return tuple(ActivationsJob(subject, *asked, seed, **options) for subject, seed in sides)

    @property
    def needs(self) -> tuple[Job, ...]:
        return tuple(job for read in self.read for job in (read, read.asked))

    def context(self) -> RowKey:
        """What its rows are about."""
        return context_of(self.before, self.after, self.temperature)

    def make(self, store: Store, work: Path) -> None:
        told = [answers(store.get(job.recipe), store.get(job.asked.recipe)) for job in self.read]
        context = self.context()
        found = list(_probes(told[0], targets(told[0]), "before", self.draws, context))
        if len(told) > 1:
            _check_pair(*told)
            asked = [*targets(told[1]), _base_strategy(*told)]
            found += _probes(told[1], asked, "after", self.draws, context)
            found += _shifts(told[0], told[1], context)
        write_table(work / "data.parquet", to_table([row_of(context, e, False) for e in found]))


def targets(told: Answers) -> list[Target]:
    """What is read off one checkpoint about itself: its name, the examples at a site, how the control shuffles."""
    return [
        ("strategy", lambda where: told.at_prompt(where, told.code), "problems"),
        ("correct", lambda where: told.at_prompt(where, told.right), "problems"),
        ("correct-end", lambda where: told.at_end(where, told.right), "problems"),
        ("fork", told.at_tokens, "rows"),
    ]


def _base_strategy(before: Answers, after: Answers) -> Target:
    return "base-strategy", lambda where: after.at_prompt(where, before.code), "problems"


def _probes(told: Answers, asked: list[Target], side: str, draws: int, context: RowKey) -> Iterator[Estimate]:
    base = (context.study, context.family, context.size, context.base_seed)
    for name, examples, shuffle in asked:
        for where in told.held.sites:
            rows = examples(where)
            for kind in KINDS:
                varies = {"side": side, "target": name, "probe": kind, **site_columns(where)}
                # the same folds and shuffles at every site and on both sides: what differs is the model
                yield from probe(rows, kind, address=(*base, name), params=varies, draws=draws, shuffle=shuffle)
    for name, labels in (("strategy", told.code), ("correct", told.right)):
        yield same_question(labels, told, {"side": side, "target": name})


def same_question(labels: Float[np.ndarray, "response"], told: Answers, params: dict[str, str]) -> Estimate:
    """`probe_same_question`: AUROC of the share among responses to the same question, those of the other parity."""
    codes = np.unique(told.problem, return_inverse=True)[1]
    parity = np.array([sample % 2 for _, sample in told.keys])
    width = int(codes.max()) + 1
    counts, sums = (np.bincount(codes * 2 + parity, w, minlength=2 * width) for w in (np.ones(len(codes)), labels))
    others = codes * 2 + 1 - parity
    shares = sums[others] / np.maximum(counts[others], 1)
    return clustered_auroc(shares, labels, told.problem, name="probe_same_question", strata=parity, params=params)


def _shifts(before: Answers, after: Answers, context: RowKey) -> Iterator[Estimate]:
    """Whether the direction of code turns, and how far the model travels along it."""
    for labels, code in (("own", after.code), ("base", before.code)):
        for where in before.held.sites:
            sides = Sides(before.at_prompt(where, before.code), after.at_prompt(where, code))
            params, address = {"labels": labels, **site_columns(where)}, (*context.address, labels, where)
            if _varies(sides) and all(has_classes(side) for side in (sides.before, sides.after)):
                turned = turning(sides, "difference", address=address, params=params)
                yield from turned if labels == "own" else [replace(e, p=None) for e in turned]
                if labels == "base":
                    yield from travelling(sides, "difference", address=address, params=params, classes=CLASSES)


def _varies(sides: Sides) -> bool:
    """Whether activations differ between questions at all: the embedding of their last token is the same for all."""
    return all(np.ptp(side.x, axis=0).max() > 0 for side in (sides.before, sides.after))


def _check_pair(before: Answers, after: Answers) -> None:
    if before.keys != after.keys:
        raise BadInput("before and after did not answer the same questions", where="probes", do="use one set for both")
    if before.held.sites != after.held.sites:
        do = "compare checkpoints of one architecture, or name sites that both have"
        raise BadInput("before and after have different sites", where="probes", do=do)


def probes(
    job: ProbesJob,
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
