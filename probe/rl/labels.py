"""Which answer does the reward compare with? A label source maps the initial model's answers to a label per problem.

    gold              the true answer
    offline_majority  the majority of the initial model's rollouts, e.g. 64 a prompt ("majority" in 2506.10947)
    wrong_majority    the same, on the prompts where that majority is wrong; the others are not trained on ("incorrect")
    one_shot          the true answer of one problem, duplicated to the batch (2504.20571)

A source is a frozen dataclass called with `answers` (problem id -> one answer per rollout, None where none was parsed)
and `gold` (problem id -> true answer). No reward is computed here, and nothing is sampled. Online voting within a group
is a reward, not a label source: `probe.rewards.majority_online`. Ties and equality are those of its `vote`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable

from probe.data import Outcome
from probe.errors import BadInput
from probe.registry import nearest
from probe.rewards.ground_truth import Grader, canonical, grader_name, named_grader
from probe.rewards.majority_online import vote

Answers = Mapping[str, Sequence[str | None]]


@dataclass(frozen=True)
class Labels:
    """`label` per problem id to train on; `kept` those ids in the order of `gold`, repeated where one is duplicated;
    `dropped` every other id of `gold` with the reason."""

    label: dict[str, str]
    kept: tuple[str, ...]
    dropped: dict[str, str]

    def dropped_counts(self) -> dict[str, int]:
        """How many problems were dropped for each reason."""
        return dict(Counter(self.dropped.values()))


@runtime_checkable
class LabelSource(Protocol):
    """A frozen dataclass that labels problems. BadInput where no problem is left to train on."""

    def __call__(self, answers: Answers, gold: Mapping[str, str]) -> Labels: ...


@dataclass(frozen=True)
class Gold:
    """The true answers; `answers` is not read."""

    def __call__(self, answers: Answers, gold: Mapping[str, str]) -> Labels:
        return _labels(dict(gold), {})


@dataclass(frozen=True)
class OfflineMajority:
    """A problem none of whose rollouts has an answer is dropped."""

    def __call__(self, answers: Answers, gold: Mapping[str, str]) -> Labels:
        majority = _majority(answers, gold)
        voted = {name: label for name, label in majority.items() if label is not None}
        return _labels(voted, {name: "no parsed answer" for name in majority if name not in voted})


@dataclass(frozen=True)
class WrongMajority:
    """Problems whose majority answer is right are dropped too: on the rest the label is certainly wrong.

    Without a grader, wrong means different from `gold` in canonical form. Answers that need algebra to compare need a
    `grader`: without one, right majorities leak in as "wrong" labels (16 % of the published ones, 2603.16140). Only an
    outcome of wrong counts as wrong.
    """

    grader: Grader | None = None

    def __call__(self, answers: Answers, gold: Mapping[str, str]) -> Labels:
        voted = OfflineMajority()(answers, gold)
        outcome = {name: self._outcome(label, gold[name]) for name, label in voted.label.items()}
        wrong = {name: label for name, label in voted.label.items() if outcome[name] is Outcome.wrong}
        dropped = {name: f"the majority is {outcome[name]}" for name in outcome if name not in wrong}
        return _labels(wrong, voted.dropped | dropped)

    def _outcome(self, label: str, gold: str) -> Outcome:
        if self.grader:
            return self.grader.compare(label, gold)
        return Outcome.right if label == canonical(gold) else Outcome.wrong


@dataclass(frozen=True)
class OneShot:
    """`copies` of one problem under its true answer."""

    problem: str
    copies: int = 64

    def __call__(self, answers: Answers, gold: Mapping[str, str]) -> Labels:
        if self.problem not in gold or self.copies < 1:
            what = f"one-shot training on {self.copies} copies of {self.problem!r}"
            raise BadInput(what, do=f"copies >= 1 of a known problem; {nearest(self.problem, list(gold)[:20])}")
        others = {name: "not the one problem" for name in gold if name != self.problem}
        return Labels({self.problem: gold[self.problem]}, (self.problem,) * self.copies, others)


SOURCES: dict[str, type[LabelSource]] = {
    "gold": Gold,
    "offline_majority": OfflineMajority,
    "wrong_majority": WrongMajority,
    "one_shot": OneShot,
}


def spec(source: LabelSource) -> dict[str, Any]:
    """The plain dict of a label source, e.g. {"labels": "one_shot", "problem": "chain/17", "copies": 64}."""
    names = {kind: name for name, kind in SOURCES.items()}
    plain = {field.name: getattr(source, field.name) for field in fields(source)}  # type: ignore[arg-type]
    if plain.get("grader") is not None:
        plain["grader"] = grader_name(plain["grader"])
    return {"labels": names[type(source)], **plain}


def from_spec(spec: dict[str, Any], grader: Grader | None = None) -> LabelSource:
    """The label source of a plain dict; BadInput on an unknown name or field, or another grader than it names."""
    known = dict(spec)
    name = known.pop("labels", None)
    if "grader" in known:
        known["grader"] = named_grader(known["grader"], grader)
    if name not in SOURCES:
        raise BadInput(f"there is no label source named {name!r}", do=nearest(name, sorted(SOURCES)))
    try:
        return SOURCES[name](**known)
    except TypeError as err:
        raise BadInput(f"label source {name!r}: {err}", where=str(spec), do="give only the fields it has") from err


def _majority(answers: Answers, gold: Mapping[str, str]) -> dict[str, str | None]:
    missing = [name for name in gold if name not in answers]
    if missing:
        raise BadInput(
            f"{len(missing)} problems have no rollouts of the initial model, e.g. {missing[:3]}",
            do="sample the initial model on every training problem first",
        )
    return {name: vote(answers[name], name) for name in gold}


def _labels(label: dict[str, str], dropped: dict[str, str]) -> Labels:
    if not label:
        reasons = dict(Counter(dropped.values())) or "there was none to begin with"
        raise BadInput(f"no problem is left to train on: {reasons}", do="use more problems, or another label source")
    return Labels(label, tuple(label), dropped)
