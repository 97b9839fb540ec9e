r"""Which equalities of numbers does a text state, and are they true? Every `a op b = c` in it, and nothing is run.

A run of arithmetic marks is cut at its = signs; a chain a = b = c states two equalities. One counts where both sides
have a value, the first of a chain has an operation (`1 = 3 + 4` is a condition that is tried), and nothing beside it
could be a part of it: a variable, a function, a subscript, "half of", "times", "hundred", `\pmod`, a question mark,
"with a remainder of 2", "which is not true". What is in doubt is left out, so a text states more than is found here.
GSM8K's notes <<48/2=24>> are equalities of their own, passed over by the text around them.

True is: equal; or one side is a bare decimal that is the other rounded or cut to the decimals shown (3.33 and 3.3 for
10/3, .67 and .66 for 2/3); or equal to 12 digits where a number has the 15 and more that floating point prints; each
also with % as a unit rather than a hundredth ("5/20 * 100 = 25%"). An integer stands for itself alone: 10/3 = 3 is
false.

Left out: approximations (\approx), units as factors ("2 feet = 24 inches"), sums in words, and whether an equality was
claimed at all, beyond the words listed in `_DENIED`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from probe.tasks.arithmetic import PERCENT, Value, read
from probe.tasks.arithmetic_tokens import VALUES, Token, tokens

MAX_TEXT = 200_000  # characters that are looked at: no reasoning is longer
READINGS = (PERCENT, Fraction(1))
PRINTED = Fraction(1, 10**12)  # relative error allowed where floating point was printed
_NOTE = re.compile(r"<<([^<>\n]*+)>>")
_DENIED = re.compile(
    r"[^.]{0,40}(?:remainder|false|not true|not equal|not satisf|not hold|not correct|not valid|incorrect|contradict"
    r"|impossible|wrong|doesn't|does not|\u2260|\\neq?(?![A-Za-z]))",
    re.IGNORECASE,
)
_BINARY = frozenset("+*/^")
_STOPS = frozenset({"edge", "word"})


@dataclass(frozen=True)
class Equation:
    """Two sides as they are written, and where: text[span[0]:span[1]] goes from the one to the other."""

    lhs: str
    rhs: str
    span: tuple[int, int]


def equations(text: str) -> list[Equation]:
    """The equalities of numbers in the first MAX_TEXT characters of a text, in order."""
    text = text[:MAX_TEXT]
    if "=" not in text:
        return []
    noted = [each for note in _NOTE.finditer(text) for each in _stated(note[1], note.start(1))]
    return sorted([*noted, *_stated(text, 0)], key=lambda each: each.span)


def holds(equation: Equation) -> bool:
    """Whether both sides are the same number, as far as it is shown."""
    pairs = [(read(equation.lhs, percent), read(equation.rhs, percent)) for percent in READINGS]
    return any(a is not None and b is not None and (_shows(a, b) or _shows(b, a)) for a, b in pairs)


def _shows(shown: Value, value: Value) -> bool:
    """Whether a number is the other one, or a bare decimal that rounds or cuts it off."""
    error = abs(shown.exact - value.exact)
    if shown.printed or value.printed:
        return error <= PRINTED * abs(value.exact)
    if error == 0 or not shown.places or shown.exact == 0:
        return error == 0
    step = Fraction(1, 10**shown.places)
    return error <= step / 2 or (error < step and abs(shown.exact) < abs(value.exact))


def _stated(text: str, offset: int) -> Iterator[Equation]:
    for before, run, after in _runs(tokens(f"\n{text}\n")):
        yield from _of_run(run, before, after, text, offset)


def _runs(marks: Iterator[Token]) -> Iterator[tuple[Token, list[Token], Token]]:
    """(what stands before, the marks between, what stands after) of every stretch with an = in it."""
    before, run = Token("edge", "", 0, 0), []
    for mark in marks:
        if mark.kind in VALUES or mark.kind in ("eq", "rel"):
            run.append(mark)
            continue
        if mark.kind != "void" and any(each.kind == "eq" for each in run):
            yield before, run, mark
        before, run = mark, []


def _of_run(run: list[Token], before: Token, after: Token, text: str, offset: int) -> Iterator[Equation]:
    sides: list[list[Token]] = [[]]
    signs = []
    for mark in run:
        if mark.kind in VALUES:
            sides[-1].append(mark)
        else:
            signs.append(mark.kind)
            sides.append([])
    for place, sign in enumerate(signs):
        left = _suffix(sides[place], before if place == 0 else None, text)
        right = _prefix(sides[place + 1], after if place + 1 == len(signs) else None)
        if sign == "eq" and left and right:
            yield from _equation(left, right, place == 0, text, offset)


def _equation(left: list[Token], right: list[Token], first: bool, text: str, offset: int) -> Iterator[Equation]:
    start, end = left[0].start - 1, right[-1].end - 1  # the line that was put before the text
    lhs, rhs = text[start : left[-1].end - 1], text[right[0].start - 1 : end]
    values = read(lhs), read(rhs)
    if values[0] is None or values[1] is None or not values[0].operations + values[1].operations:
        return
    if first and not values[0].operations:  # "20% of 50 = 0.2 * 50", "for x = 1: 1 = 3 + 4, no": no result of a step
        return
    if _DENIED.match(text, end):
        return
    yield Equation(lhs, rhs, (start + offset, end + offset))


def _suffix(side: list[Token], before: Token | None, text: str) -> list[Token] | None:
    """The left side: all of it, or what follows a parenthesis that is still open at the =. None where it cannot be."""
    depth = 0
    for at in range(len(side) - 1, -1, -1):
        depth += (side[at].kind == "close") - (side[at].kind == "open")
        if depth < 0:
            return side[at + 1 :] if before is not None else None
    if depth or not side:
        return None
    return side if before is None or _may_begin(side[0], before, text) else None


def _may_begin(first: Token, before: Token, text: str) -> bool:
    if before.kind not in _STOPS or (first.kind == "op" and first.said in _BINARY):
        return False
    if before.kind == "edge" or (first.kind, first.said) != ("op", "-"):
        return True
    between = text[before.end - 1 : first.start - 1]  # "cost - 3 + 4" goes on, "is -3 + 4" begins
    return bool(between.strip()) or not text[first.start : first.start + 1].isspace()


def _prefix(side: list[Token], after: Token | None) -> list[Token] | None:
    """The right side: all of it, or what stands before a parenthesis that it does not close or open."""
    open_at: list[int] = []
    for at, mark in enumerate(side):
        if mark.kind == "open":
            open_at.append(at)
        elif mark.kind == "close":
            if not open_at:
                return side[:at] if after is not None else None
            open_at.pop()
    if after is None:
        return side if not open_at else None
    return side[: open_at[0] if open_at else None] if after.kind in _STOPS else None
