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

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from probe.activations.direction_shift import Sides, projection_change, rotation
from probe.activations.linear import DRAWS, KINDS, Examples, Shuffle, has_classes, probe
from probe.checkpoints.pair import Pair
from probe.data import Estimate
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments import experiments
from probe.experiments.activation_dataset import ActivationDataset, ActivationsJob, activation_dataset
from probe.experiments.experiment import PairExperiment
from probe.measurements import RowKey, Rows, row_of
from probe.models.hooks.backends import check_known
from probe.models.hooks.sites import site_columns
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.stats.ranking import clustered_auroc
from probe.store import Store

CLASSES = ("prose", "code")
Target = tuple[str, Callable[[str], Examples], Shuffle]


@experiments.register("probes")
@dataclass(frozen=True)
class ProbesJob(PairExperiment):
    """Probes in one checkpoint, or in the same before and after RL."""

    FIGURES: ClassVar = ("probe_accuracy", "direction_shift")
    pair: Pair
    elicitation: Elicitation = CHAIN
    options: SamplingOptions = SAMPLED
    sites: tuple[str, ...] = ()  # none: every residual
    draws: int = DRAWS
    backend: str = "hooks"
    compute: Compute = field(default=Compute(), compare=False)

    def __post_init__(self) -> None:
        check_known(self.backend)
        if self.options.samples < 2 or not self.options.temperature > 0:
            do = "sample each question at least twice, at a temperature above 0"
            raise BadInput("one answer a question says little of its strategy", where=self.pair.before.name, do=do)

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": "inside", "draws": self.draws} | self.pair.spec

    @property
    def label(self) -> str:
        return f"{self.pair.label} probes"

    @property
    def activations(self) -> tuple[ActivationsJob, ...]:
        """Before, and after; the two sides of a null pair answer with other draws."""
        again = replace(self.options, seed=self.options.seed + int(self.pair.is_null))
        sides = zip(self.pair.sides.values(), (self.options, again), strict=False)
        about = (self.sites, self.backend, self.compute)
        return tuple(ActivationsJob(each, self.elicitation, options, *about) for each, options in sides)

    @property
    def needs(self) -> tuple[Job, ...]:
        return tuple(job for each in self.activations for job in (each, each.responses))

    @property
    def key(self) -> RowKey:
        """What its rows are about."""
        return self.pair.reward_key("inside", self.options.temperature)

    def measure(self, store: Store) -> Rows:
        jobs, key = self.activations, self.key
        sides = [activation_dataset(store.get(job.recipe), store.get(job.responses.recipe)) for job in jobs]
        found = list(_probes(sides[0], targets(sides[0]), "before", self.draws, key))
        if len(sides) > 1:
            _check_pair(*sides)
            asked = [*targets(sides[1]), _base_strategy(*sides)]
            found += _probes(sides[1], asked, "after", self.draws, key)
            found += _shifts(sides[0], sides[1], key)
        return [row_of(key, each) for each in found]


def targets(data: ActivationDataset) -> list[Target]:
    """What is read off one checkpoint about itself: its name, the examples at a site, how the control shuffles."""
    return [
        ("strategy", lambda where: data.at_prompt(where, data.code), "problems"),
        ("correct", lambda where: data.at_prompt(where, data.right), "problems"),
        ("correct-end", lambda where: data.at_end(where, data.right), "problems"),
        ("fork", data.at_tokens, "rows"),
    ]


def _base_strategy(before: ActivationDataset, after: ActivationDataset) -> Target:
    return "base-strategy", lambda where: after.at_prompt(where, before.code), "problems"


def _probes(data: ActivationDataset, asked: list[Target], side: str, draws: int, key: RowKey) -> Iterator[Estimate]:
    base = (key.study, key.family, key.size, key.base_seed)
    for name, examples, shuffle in asked:
        for where in data.held.sites:
            rows = examples(where)
            for kind in KINDS:
                varies = {"side": side, "target": name, "probe": kind, **site_columns(where)}
                # the same folds and shuffles at every site and on both sides: what differs is the model
                yield from probe(rows, kind, address=(*base, name), params=varies, draws=draws, shuffle=shuffle)
    for name, labels in (("strategy", data.code), ("correct", data.right)):
        yield same_question(labels, data, {"side": side, "target": name})


def same_question(labels: Float[np.ndarray, "response"], data: ActivationDataset, params: dict[str, str]) -> Estimate:
    """`probe_same_question`: AUROC of the share among responses to the same question, those of the other parity."""
    codes = np.unique(data.problem, return_inverse=True)[1]
    parity = np.array([sample % 2 for _, sample in data.keys])
    width = int(codes.max()) + 1
    counts, sums = (np.bincount(codes * 2 + parity, w, minlength=2 * width) for w in (np.ones(len(codes)), labels))
    others = codes * 2 + 1 - parity
    shares = sums[others] / np.maximum(counts[others], 1)
    return clustered_auroc(shares, labels, data.problem, name="probe_same_question", strata=parity, params=params)


def _shifts(before: ActivationDataset, after: ActivationDataset, key: RowKey) -> Iterator[Estimate]:
    """Whether the direction of code turns, and how far the model travels along it."""
    for labels, code in (("own", after.code), ("base", before.code)):
        for where in before.held.sites:
            sides = Sides(before.at_prompt(where, before.code), after.at_prompt(where, code))
            params, address = {"labels": labels, **site_columns(where)}, (*key.address, labels, where)
            if _varies(sides) and all(has_classes(side) for side in (sides.before, sides.after)):
                turned = rotation(sides, "difference", address=address, params=params)
                yield from turned if labels == "own" else [replace(e, p=None) for e in turned]
                if labels == "base":
                    yield from projection_change(sides, "difference", address=address, params=params, classes=CLASSES)


def _varies(sides: Sides) -> bool:
    """Whether activations differ between questions at all: the embedding of their last token is the same for all."""
    return all(np.ptp(side.x, axis=0).max() > 0 for side in (sides.before, sides.after))


def _check_pair(before: ActivationDataset, after: ActivationDataset) -> None:
    if before.keys != after.keys:
        raise BadInput("before and after did not answer the same questions", where="probes", do="use one set for both")
    if before.held.sites != after.held.sites:
        do = "compare checkpoints of one architecture, or name sites that both have"
        raise BadInput("before and after have different sites", where="probes", do=do)
