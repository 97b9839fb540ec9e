"""How close is the boxed number to the label? 1 for the number itself, down to 0 (arXiv 2507.10532, RandomCalculation).

    r = 1 - min(|a - b|, 1) / 2 - min(|a - b| / (|b| + 1e-6), 1) / 2        a boxed, b the label

0 without a box or with no number in it; abstains where the label is no number, as most answers of MATH are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from probe.rewards import per_response, rewards
from probe.tasks.answers import boxed, own_turn
from probe.tasks.normalise import MAX_ANSWER, normalise
from probe.tasks.random_calculation import closeness
from probe.tasks.reading.numerals import number


@rewards.register("closeness")
@dataclass(frozen=True)
class Closeness:
    """Between 0 and 1: a graded version of `ground_truth` for answers that are numbers."""

    informative: ClassVar[bool] = True
    is_null: ClassVar[bool] = False

    def __call__(
        self, *, completions: Sequence[str], answers: Sequence[str | None] | None = None, **info: Any
    ) -> list[float | None]:
        labels = per_response("answer", answers, completions, "closeness")
        return [_score(text, label) for text, label in zip(completions, labels, strict=True)]


def _score(text: str, label: str | None) -> float | None:
    gold = _value(label)
    if gold is None:
        return None
    given = _value(boxed(own_turn(text)))
    return 0.0 if given is None else closeness(given, gold)


def _value(answer: str | None) -> Fraction | None:
    """The exact number an answer spells."""
    if answer is None or len(answer) > MAX_ANSWER:
        return None
    read = number(normalise(answer))
    return None if read is None else read.value
