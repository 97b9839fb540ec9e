r"""Is the answer right? A grader in three tiers, the cheap ones first, the same scores as the dear one.

    gold     an empty, unbalanced or overlong gold answer scores nothing (`gold_unparsed`), whatever the prediction is
    string   equality of normal forms (`probe.tasks.normalise`); text answers ("\text{Evelyn}") are decided here
    number   exact rationals: 1/2 = \frac{1}{2} = 0.5; two different numbers are wrong; 52_8 is not 52_9
    grouping (1,2) is not the list 1,2 and (3,4] not (3,4): math-verify says otherwise
    verify   math-verify 0.9 in a killable worker (`probe.tasks.verify`), started at the first pair that needs it

Decisions that other graders make differently, all in both directions: `x=5` answers 5; `50\%` answers 50 and 1/2;
a missing base or unit is forgiven, a wrong base is not; a decimal of six places or more stands for what it rounds or
truncates; anagrams of a text answer are wrong (math-verify multiplies the letters). math-verify's `verify(gold, pred)`
is asymmetric, so the order is fixed here. Extraction is strict by default: see `probe.tasks.answers`.
"""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Literal, Self

from probe.data import Outcome
from probe.errors import BadInput
from probe.tasks import answers, normalise
from probe.tasks.verify import Verifier

Extract = Literal["boxed", "answer_tag", "final_number"]
Verdict = tuple[Outcome, str]

EXTRACTORS = {"boxed": answers.boxed, "answer_tag": answers.answer_tag, "final_number": answers.final_number}
CACHE_SIZE = 200_000
ROUNDED_PLACES = 6


@dataclass(frozen=True)
class Grade:
    """The outcome of one response, the answer it was read to give, and the tier that decided."""

    outcome: Outcome
    prediction: str | None
    tier: str


class Grader:
    """Grades responses; record `name` and `version` with the results. Use as a context manager, or `close()` it."""

    name = "probe-tiered"

    def __init__(self, *, extract: Extract = "boxed", timeout: float = 2.0) -> None:
        if extract not in EXTRACTORS:
            raise BadInput(f"no extraction is called {extract!r}", do=f"choose one of {sorted(EXTRACTORS)}")
        if not 0 < timeout < 3600:
            raise BadInput(f"timeout is {timeout!r}", do="give seconds of processor time, more than 0")
        self.extract, self.timeout = extract, timeout
        self._verifier = Verifier(timeout)
        self._seen: dict[tuple[str, str], Verdict] = {}

    @property
    def version(self) -> str:
        """Version of the rules, of math-verify, and what else can change an outcome."""
        return f"2; math-verify {_math_verify_version()}; extract {self.extract}; timeout {self.timeout:g} s"

    def grade(self, text: str, gold: str) -> Grade:
        """The grade of one response (the completion alone), cut at its end-of-text marker."""
        prediction = EXTRACTORS[self.extract](answers.cut_at_stop(text))
        if prediction is None:
            outcome = Outcome.unparsed if is_readable(gold) else Outcome.gold_unparsed
            return Grade(outcome, None, "extract")
        outcome, tier = self._decide(prediction, gold)
        return Grade(outcome, prediction, tier)

    def grade_many(self, texts: Sequence[str], golds: Sequence[str]) -> list[Grade]:
        """One grade a response, in order."""
        if len(texts) != len(golds):
            raise BadInput(f"{len(texts)} responses but {len(golds)} gold answers", do="give one gold a response")
        return [self.grade(text, gold) for text, gold in zip(texts, golds, strict=True)]

    def compare(self, prediction: str, gold: str) -> Outcome:
        """The outcome of an extracted answer."""
        return self._decide(prediction, gold)[0]

    def close(self) -> None:
        """End the worker, if one was started."""
        self._verifier.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _decide(self, prediction: str, gold: str) -> Verdict:
        key = (prediction, gold)
        if key not in self._seen:
            if len(self._seen) >= CACHE_SIZE:
                self._seen.clear()
            self._seen[key] = cheap(prediction, gold) or self._ask(prediction, gold)
        return self._seen[key]

    def _ask(self, prediction: str, gold: str) -> Verdict:
        return self._verifier.ask(*_right_sides(prediction, gold)), "verify"


def is_readable(gold: str) -> bool:
    """Whether a gold answer can be graded against: not blank, overlong, unbalanced or made of signs alone."""
    if not isinstance(gold, str) or len(gold) > normalise.MAX_ANSWER:
        return False
    body = gold.replace("\\{", "").replace("\\}", "")
    return any(c.isalnum() for c in gold) and body.count("{") == body.count("}")


def cheap(prediction: str, gold: str) -> Verdict | None:
    """What the tiers without math-verify say; None if they cannot tell."""
    if not is_readable(gold):
        return Outcome.gold_unparsed, "gold"
    if len(prediction) > normalise.MAX_ANSWER or not any(c.isalnum() for c in prediction):
        return Outcome.unparsed, "string"
    given, wanted = _right_sides(prediction, gold)
    if given == wanted:
        return Outcome.right, "string"
    if normalise.is_word(gold):
        return _outcome(normalise.word(given) == normalise.word(wanted)), "string"
    return _by_number(given, wanted, "%" in prediction, "%" in gold) or _by_grouping(given, wanted)


def _right_sides(prediction: str, gold: str) -> tuple[str, str]:
    """Both normal forms, without `x=` unless the two name different things."""
    given, wanted = normalise.normalise(prediction), normalise.normalise(gold)
    (left, right), (gold_left, gold_right) = normalise.sides(given), normalise.sides(wanted)
    return (right, gold_right) if not left or not gold_left or left == gold_left else (given, wanted)


def _by_number(given: str, wanted: str, percent: bool, gold_percent: bool) -> Verdict | None:
    based, gold_based = normalise.base(given), normalise.base(wanted)
    if based or (gold_based and given.isalnum()):
        return _outcome(gold_based is not None and gold_based[0] == given), "number"
    mine, gold = normalise.number(given), normalise.number(wanted)
    if mine is None or gold is None:
        return None
    scale = Fraction(100) ** (int(gold_percent) - int(percent))
    same = gold.value in (mine.value, mine.value * scale)
    return _outcome(same or _rounds_to(mine, gold.value) or _rounds_to(gold, mine.value)), "number"


def _rounds_to(decimal: normalise.Number, value: Fraction) -> bool:
    return decimal.places >= ROUNDED_PLACES and abs(decimal.value - value) < Fraction(1, 10**decimal.places)


def _by_grouping(given: str, wanted: str) -> Verdict | None:
    mine, gold = normalise.grouping(given), normalise.grouping(wanted)
    return (Outcome.wrong, "grouping") if mine and gold and mine != gold else None


def _outcome(same: bool) -> Outcome:
    return Outcome.right if same else Outcome.wrong


def _math_verify_version() -> str:
    try:
        return importlib.metadata.version("math-verify")
    except importlib.metadata.PackageNotFoundError:
        return "absent"
