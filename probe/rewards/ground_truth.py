r"""Is the boxed answer the label? 1 or 0; abstains where there is no label.

    r = 1[canonical(boxed(completion)) = canonical(label)]

Strict extraction: an answer outside a box scores 0. Equality is that of spelling and of exact numbers ("07" = "7",
"0.5" = "\frac{1}{2}"), enough for the organisms and fast. Mathematics needs a `grader` (`probe.tasks.grading.Grader`),
which then extracts and compares by its own rules; its name and version are part of the reward's identity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Protocol, runtime_checkable

from probe.data import Outcome
from probe.errors import BadInput
from probe.rewards import per_response, rewards
from probe.tasks.answers import boxed
from probe.tasks.normalise import MAX_ANSWER, normalise
from probe.tasks.reading.numerals import number


@runtime_checkable
class Grade(Protocol):
    """What a grader says of a response."""

    @property
    def outcome(self) -> Outcome: ...


@runtime_checkable
class Grader(Protocol):
    """Judges a response, or an extracted answer, against a gold answer."""

    name: str

    @property
    def version(self) -> str: ...

    def grade(self, text: str, gold: str) -> Grade: ...

    def compare(self, prediction: str, gold: str) -> Outcome: ...


@rewards.register("ground_truth")
@dataclass(frozen=True)
class GroundTruth:
    """Without a grader: `canonical` of the boxed answer. A grader that cannot read the label makes it abstain."""

    informative: ClassVar[bool] = True
    is_null: ClassVar[bool] = False
    grader: Grader | None = None

    def __call__(
        self, *, completions: Sequence[str], answers: Sequence[str | None] | None = None, **info: Any
    ) -> list[float | None]:
        labels = per_response("answer", answers, completions, "ground_truth")
        return [
            None if label is None else self._score(text, label) for text, label in zip(completions, labels, strict=True)
        ]

    def _score(self, text: str, label: str) -> float | None:
        if self.grader is None:
            answer = boxed(text)
            return float(answer is not None and canonical(answer) == canonical(label))
        outcome = self.grader.grade(text, label).outcome
        return None if outcome is Outcome.gold_unparsed else float(outcome is Outcome.right)


@lru_cache(maxsize=1 << 16)
def canonical(answer: str) -> str:
    """The one spelling of an answer: its exact number where it is one ("1/2"), else its normal form."""
    if len(answer) > MAX_ANSWER:
        return answer
    text = normalise(answer)
    value = number(text)
    return text if value is None else str(value.value)


def grader_name(grader: Grader) -> str:
    """How a grader is named in a recipe."""
    if not hasattr(grader, "name") or not hasattr(grader, "version"):
        raise BadInput(f"{grader!r} has no name and version", do="give a grader, e.g. probe.tasks.grading.Grader()")
    return f"{grader.name} {grader.version}"


def named_grader(name: str | None, grader: Grader | None) -> Grader | None:
    """The grader a recipe names: `grader`, checked to be the one; None where the recipe names none."""
    if name is None:
        return None
    if grader is None or grader_name(grader) != name:
        given = "none" if grader is None else grader_name(grader)
        raise BadInput(f"the recipe was graded by {name!r}; given: {given}", do="give the grader that the recipe names")
    return grader
