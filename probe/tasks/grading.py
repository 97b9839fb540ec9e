r"""Is the answer right? Rules in order, the cheap ones first; every verdict carries the name of the rule that gave it.

    gold      an empty, unbalanced or overlong gold answer scores nothing (`gold_unparsed`), whatever the prediction is
    extract   no answer could be read out of the response (`probe.tasks.answers`); extraction is strict by default
    string .. group   decided here, exactly (`probe.tasks.rules`); text answers are decided here, too
    verify    math-verify 0.9 in a killable worker (`probe.tasks.verify`), started at the first pair that needs it

Decisions that other graders make differently are the rules' own, and three are policies that can be made strict:
`missing_unit`, `missing_base`, `percent_or_fraction`. Anagrams of a text answer are wrong (math-verify multiplies the
letters). math-verify's `verify(gold, pred)` is asymmetric, so the order is fixed here.
"""

import importlib.metadata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from probe.data import Outcome
from probe.errors import BadInput
from probe.tasks import normalise
from probe.tasks.answers import own_turn
from probe.tasks.extractors import NAMES, Extract, extract
from probe.tasks.reading import words
from probe.tasks.reading.unicode import plain
from probe.tasks.rules import POLICIES, READING, Rules, Verdict
from probe.tasks.verify import Verifier

CACHE_SIZE = 200_000


@dataclass(frozen=True)
class Grade:
    """The outcome of one response, the answer it was read to give, the rule that decided, the extractor that read."""

    outcome: Outcome
    prediction: str | None
    rule: str
    extractor: str = ""


class Grader:
    """Grades responses; record `name` and `version` with the results. Use as a context manager, or `close()` it."""

    name = "probe-tiered"

    def __init__(self, *, extract: Extract = "boxed", timeout: float = 2.0, strict: Collection[str] = ()) -> None:
        if extract not in NAMES:
            raise BadInput(f"no extraction is called {extract!r}", do=f"choose one of {list(NAMES)}")
        if not 0 < timeout < 3600:
            raise BadInput(f"timeout is {timeout!r}", do="give seconds of processor time, more than 0")
        if unknown := sorted(set(strict) - set(POLICIES)):
            raise BadInput(f"no policy is called {unknown[0]!r}", do=f"choose of {list(POLICIES)}")
        self.extract, self.timeout, self.strict = extract, timeout, tuple(sorted(set(strict)))
        self._verifier = Verifier(timeout)
        self._rules = Rules(self._verifier.ask, frozenset(strict))
        self._seen: dict[tuple[str, str], Verdict] = {}

    @property
    def version(self) -> str:
        """Version of the rules, of math-verify, and what else can change an outcome."""
        strict = f"; strict {' '.join(self.strict)}" if self.strict else ""
        verify = f"math-verify {_math_verify_version()}"
        return f"{READING}; {verify}; extract {self.extract}; timeout {self.timeout:g} s{strict}"

    def grade(self, text: str, gold: str) -> Grade:
        """The grade of one response (the completion alone), of its own turn."""
        prediction, extractor = extract(own_turn(text), self.extract)
        if prediction is None:
            outcome = Outcome.unparsed if is_readable(gold) else Outcome.gold_unparsed
            return Grade(outcome, None, "extract", extractor)
        outcome, rule = self.decide(prediction, gold)
        return Grade(outcome, prediction, rule, extractor)

    def grade_many(self, texts: Sequence[str], golds: Sequence[str]) -> list[Grade]:
        """One grade a response, in order."""
        if len(texts) != len(golds):
            raise BadInput(f"{len(texts)} responses but {len(golds)} gold answers", do="give one gold a response")
        return [self.grade(text, gold) for text, gold in zip(texts, golds, strict=True)]

    def compare(self, prediction: str, gold: str) -> Outcome:
        """The outcome of an extracted answer."""
        return self.decide(prediction, gold)[0]

    def close(self) -> None:
        """End the worker, if one was started."""
        self._verifier.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def decide(self, prediction: str, gold: str) -> Verdict:
        """The outcome of an extracted answer, and the rule that gave it."""
        key = (prediction, gold)
        if key not in self._seen:
            if len(self._seen) >= CACHE_SIZE:
                self._seen.clear()
            self._seen[key] = _decided(prediction, gold, self._rules) or (Outcome.unparsed, "verify")
        return self._seen[key]


def is_readable(gold: str) -> bool:
    """Whether a gold answer can be graded against: not blank, overlong, unbalanced or made of signs alone."""
    if not isinstance(gold, str) or len(gold) > normalise.MAX_ANSWER:
        return False
    body = gold.replace("\\{", "").replace("\\}", "")
    return _says_something(gold) and body.count("{") == body.count("}")


def _says_something(answer: str) -> bool:
    return any(char.isalnum() for char in plain(answer)) or words.is_nothing(normalise.spelled(answer))


def cheap(prediction: str, gold: str, strict: Collection[str] = ()) -> Verdict | None:
    """What the rules without math-verify say; None if they cannot tell."""
    return _decided(prediction, gold, Rules(None, frozenset(strict)))


def _decided(prediction: str, gold: str, rules: Rules) -> Verdict | None:
    if not is_readable(gold):
        return Outcome.gold_unparsed, "gold"
    if len(prediction) > normalise.MAX_ANSWER or not _says_something(prediction):
        return Outcome.unparsed, "string"
    return rules.decide(prediction, gold)


def _math_verify_version() -> str:
    try:
        return importlib.metadata.version("math-verify")
    except importlib.metadata.PackageNotFoundError:
        return "absent"
