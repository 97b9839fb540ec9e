r"""Which rule decides whether two answers are equal? In order; the first that has a verdict gives it, with its name.

    string      equal normal forms
    nothing     both say that there is no answer, or only one does
    choice      the letter of a multiple choice, with or without its text
    clock       times of day
    missing_base        POLICY: 52 for 52_8; another base is wrong (`base`)
    unit        another unit is wrong; the same is compared by value, so 500 cm is 5 m
    missing_unit        POLICY: 5 for 5 cm, and 5 cm for 5
    percent_or_fraction POLICY: .5 and 50 for 50%, and 50% for .5
    number      exact rationals; two different ones are wrong. A decimal of ROUNDED_PLACES or more stands for what it
                rounds or truncates, one with the digits of floating point for what is within NOISE of it (no integer)
    word        text answers, without case
    interval    regions of the real line, end by end
    group       sets in any order, tuples in theirs; (1,2) is not the list 1,2, (3,4] not (3,4)
    verify      whatever is left: math-verify, in a worker

`x=5` answers 5 and 5 answers x=5. A policy forgives unless it is made strict. Two sides that need math-verify give None
without an `ask`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal, get_args

from probe.data import Outcome
from probe.tasks import normalise
from probe.tasks.reading import units, words
from probe.tasks.reading.groups import Group, group
from probe.tasks.reading.numerals import Number, number
from probe.tasks.reading.regions import Piece, region

Policy = Literal["missing_base", "missing_unit", "percent_or_fraction"]
Verdict = tuple[Outcome, str]
Ask = Callable[[str, str], Outcome]

READING = 3  # how answers and strategies are read: count up when a verdict can change, so that all is graded anew
POLICIES: tuple[Policy, ...] = get_args(Policy)
RULES = (
    *("gold", "extract", "string", "nothing", "choice", "clock", "base", "missing_base", "unit", "missing_unit"),
    *("percent_or_fraction", "number", "word", "interval", "group", "verify"),
)
ROUNDED_PLACES = 6
NOISE = Fraction(1, 10**12)
MAX_DEPTH, MAX_ITEMS = 3, 64
RIGHT, WRONG = Outcome.right, Outcome.wrong


@dataclass(frozen=True)
class Side:
    """One answer as it is read: plain spelling, the normal form without its unit, the unit, the number that it is."""

    spelled: str
    form: str
    unit: units.Unit | None
    value: Number | None


@lru_cache(maxsize=1 << 15)
def side(answer: str) -> Side:
    """How one answer is read."""
    text = normalise.spelled(answer)
    body, unit = units.split(text)
    form = normalise.compact(body)
    return Side(text, form, unit, number(form))


@dataclass(frozen=True)
class Rules:
    """The rules with what they need: math-verify, if it may be asked, and the policies that do not forgive."""

    ask: Ask | None = None
    strict: frozenset[str] = frozenset()

    def decide(self, prediction: str, gold: str, depth: int = 0) -> Verdict | None:
        """The verdict on an answer; None where only math-verify could tell and it may not be asked."""
        given, wanted = side(prediction), side(gold)
        steps = (_same, _nothing, _choice, _clock, self._base, self._unit, _number, _word, self._named)
        for step in (*steps, self._region, self._group):
            if (verdict := step(given, wanted, depth)) is not None:
                return verdict
        return None if self.ask is None else (self.ask(given.form, wanted.form), "verify")

    def _policy(self, name: Policy) -> Verdict:
        return (WRONG if name in self.strict else RIGHT), name

    def _base(self, given: Side, wanted: Side, depth: int) -> Verdict | None:
        mine, gold = normalise.base(given.form), normalise.base(wanted.form)
        if mine is None and gold is None:
            return None
        if mine is None and gold is not None and given.form.isalnum():
            return self._policy("missing_base") if gold[0] == given.form.upper() else (WRONG, "base")
        return (RIGHT if mine == gold else WRONG), "base"

    def _unit(self, given: Side, wanted: Side, depth: int) -> Verdict | None:
        mine, gold = given.unit, wanted.unit
        if (mine is None and gold is None) or depth >= MAX_DEPTH:  # no unit of a unit of a unit
            return None
        if mine is not None and gold is not None and mine.is_percent == gold.is_percent:
            return self._same_unit(given, wanted, mine, gold, depth)
        if mine is not None and gold is not None:
            return WRONG, "unit"
        if (mine or gold) == units.PERCENT:
            return self._percent(given, wanted, depth)
        verdict = self.decide(given.form, wanted.form, depth + 1)
        if verdict is None or verdict[0] is not RIGHT or (mine or gold or units.Unit()).names_nothing:
            return verdict
        return self._policy("missing_unit")

    def _same_unit(self, given: Side, wanted: Side, mine: units.Unit, gold: units.Unit, depth: int) -> Verdict | None:
        if not units.agree(mine, gold):
            return WRONG, "unit"
        if mine.factor == gold.factor:
            return self.decide(given.form, wanted.form, depth + 1)
        if given.value is not None and wanted.value is not None:
            return (RIGHT if given.value.value * mine.factor == wanted.value.value * gold.factor else WRONG), "unit"
        ratio = mine.factor / gold.factor
        scaled = f"\\frac{{{ratio.numerator}}}{{{ratio.denominator}}}\\cdot({given.form})"
        return self.decide(scaled, wanted.form, depth + 1)

    def _percent(self, given: Side, wanted: Side, depth: int) -> Verdict | None:
        if given.value is None or wanted.value is None:
            return self.decide(given.form, wanted.form, depth + 1)
        mine, gold = given.value, wanted.value
        scale = Fraction(1, 100) if given.unit else Fraction(100)
        bare = gold if given.unit else mine  # .25 is no .25%, but 50 may be 50%
        same = mine.value * scale == gold.value or (_equal(mine, gold) and abs(bare.value) >= 1)
        return self._policy("percent_or_fraction") if same else (WRONG, "number")

    def _named(self, given: Side, wanted: Side, depth: int) -> Verdict | None:
        """x=5 and 5; x=5 and x=5; two different names are left to math-verify."""
        (left, right), (gold_left, gold_right) = normalise.sides(given.form), normalise.sides(wanted.form)
        one_name = left == gold_left if left and gold_left else "=" not in (gold_right if left else right)
        if (left or gold_left) and one_name and depth < MAX_DEPTH:
            return self.decide(right, gold_right, depth + 1)
        return None

    def _region(self, given: Side, wanted: Side, depth: int) -> Verdict | None:
        mine, gold = region(given.form), region(wanted.form)
        if mine is None or gold is None or not (mine[1] or gold[1]) or depth >= MAX_DEPTH:
            return None
        return self._matched([mine[0], gold[0]], self._piece, depth, "interval")

    def _piece(self, mine: Piece, gold: Piece, depth: int) -> Outcome | None:
        if (mine.low_closed, mine.high_closed) != (gold.low_closed, gold.high_closed):
            return WRONG
        ends = [self._outcome(mine.low, gold.low, depth), self._outcome(mine.high, gold.high, depth)]
        return WRONG if WRONG in ends else None if None in ends else RIGHT if ends == [RIGHT, RIGHT] else WRONG

    def _group(self, given: Side, wanted: Side, depth: int) -> Verdict | None:
        mine, gold = group(given.form), group(wanted.form)
        if mine is None and gold is None:
            return None
        mine, gold = mine or Group("set", (given.form,)), gold or Group("set", (wanted.form,))
        if mine.kind != gold.kind or len(mine.items) != len(gold.items) or len(mine.items) > MAX_ITEMS:
            return WRONG, "group"
        if depth >= MAX_DEPTH or (mine.items == (given.form,) and gold.items == (wanted.form,)):
            return None
        if gold.kind == "set":
            return self._matched([list(mine.items), list(gold.items)], self._outcome, depth, "group")
        found = [self._outcome(a, b, depth) for a, b in zip(mine.items, gold.items, strict=True)]
        return _all(found, "group")

    def _outcome(self, prediction: str, gold: str, depth: int) -> Outcome | None:
        verdict = self.decide(prediction, gold, depth + 1)
        return None if verdict is None else verdict[0]

    def _matched(
        self, sides: list[Collection[object]], same: Callable[..., Outcome | None], depth: int, rule: str
    ) -> Verdict | None:
        """Whether every part of one side has its own equal on the other; equality is taken to be transitive."""
        left, unknown = list(sides[1]), False
        if len(sides[0]) != len(left):
            return WRONG, rule
        for each in sides[0]:
            outcomes = [same(each, other, depth) for other in left]
            if RIGHT in outcomes:
                del left[outcomes.index(RIGHT)]
            elif None in outcomes:
                unknown = True
            else:
                return WRONG, rule
        return None if unknown else (RIGHT, rule)


def _all(outcomes: list[Outcome | None], rule: str) -> Verdict | None:
    if any(each not in (RIGHT, None) for each in outcomes):
        return WRONG, rule
    return None if None in outcomes else (RIGHT, rule)


def _same(given: Side, wanted: Side, depth: int) -> Verdict | None:
    return (RIGHT, "string") if given.spelled == wanted.spelled or _equal_forms(given, wanted) else None


def _equal_forms(given: Side, wanted: Side) -> bool:
    return given.form == wanted.form and given.unit == wanted.unit


def _nothing(given: Side, wanted: Side, depth: int) -> Verdict | None:
    mine, gold = words.is_nothing(given.spelled), words.is_nothing(wanted.spelled)
    return (RIGHT if mine and gold else WRONG, "nothing") if mine or gold else None


def _choice(given: Side, wanted: Side, depth: int) -> Verdict | None:
    if depth or not words.is_choice(wanted.spelled):
        return None
    letter = words.choice(given.spelled)
    return (RIGHT if letter == words.choice(wanted.spelled) else WRONG, "choice")


def _clock(given: Side, wanted: Side, depth: int) -> Verdict | None:
    mine, gold = words.clock(given.spelled), words.clock(wanted.spelled)
    if mine is None or gold is None or ":" not in given.spelled + wanted.spelled:
        return None
    halves = {mine[1], gold[1]} - {""}
    return (RIGHT if mine[0] == gold[0] and len(halves) < 2 else WRONG), "clock"


def _number(given: Side, wanted: Side, depth: int) -> Verdict | None:
    if given.value is None or wanted.value is None:
        return None
    return (RIGHT if _equal(given.value, wanted.value) else WRONG), "number"


def _equal(mine: Number, gold: Number) -> bool:
    if mine.value == gold.value:
        return True
    if (mine.noisy or gold.noisy) and 1 not in (mine.value.denominator, gold.value.denominator):
        return abs(mine.value - gold.value) <= NOISE * abs(gold.value)
    return _rounds_to(mine, gold.value) or _rounds_to(gold, mine.value)


def _rounds_to(decimal: Number, value: Fraction) -> bool:
    return decimal.places >= ROUNDED_PLACES and abs(decimal.value - value) < Fraction(1, 10**decimal.places)


def _word(given: Side, wanted: Side, depth: int) -> Verdict | None:
    if not words.is_word(wanted.spelled):
        return None
    return (RIGHT if words.word(given.spelled) == words.word(wanted.spelled) else WRONG), "word"
