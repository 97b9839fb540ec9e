r"""Problems that no one can have seen: random calculations, fresh by construction (RandomCalculation, 2507.10532).

    a tree of level 0 is a number: an integer 0-100, a fraction of two, a square, a cube
    a tree of level i is op(level j, level i - 1 - j), 0 <= j <= i - 1, op one of + - * /: it holds i operations

If RL merely brings back benchmark items that were memorised, nothing is gained here. `closeness` is the paper's score
for answers that are hard to hit exactly, a the prediction and b the gold answer:

    r = 1 - min(|a - b|, 1) / 2 - min(|a - b| / (|b| + 1e-6), 1) / 2

Values are exact fractions. Drawn uniformly (kind of number, its digits, j, op) from one addressed stream a problem; a
calculation that divides by zero, or has a numerator or denominator of more than MAX_DIGITS digits anywhere, is drawn
anew as a whole: what is left is the same draw conditioned on that (of level 20, 95 in 100 stay; most of the others
divide by 0). The gold answer is an integer or "p/q" in lowest terms, which the grader also takes as a decimal of six
places or more.
The wording of the prompt is ours; the paper's number of problems and its precision are not followed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from probe.data import Problem
from probe.errors import BadInput
from probe.rng import numpy_rng

SOURCE = "random-calculation"
LEVELS = tuple(range(1, 21))
MAX_DIGITS = 40
PROMPT = (
    "Please calculate the value of {expression}. Give the exact value, as an integer or a fraction in lowest terms."
)
_LIMIT = 10**MAX_DIGITS
_OPERATIONS = "+-*/"


@dataclass(frozen=True)
class Calculation:
    """An expression with its parentheses, and its value."""

    text: str
    value: Fraction
    level: int

    @property
    def answer(self) -> str:
        """The value as the gold answer: "-3/4", "12"."""
        return str(self.value)


class _TooLarge(Exception):
    """A value left the size that is drawn."""


def draw_calculation(level: int, *address: str | int) -> Calculation:
    """The calculation with `level` operations at an address. BadInput for a level below 0 or above 100."""
    if not 0 <= level <= 100:
        raise BadInput(f"level {level} is no number of operations", where="draw_calculation", do="give 0 to 100")
    rng = numpy_rng("random calculation", level, *address)
    while True:
        try:
            text, value = _tree(level, rng)
        except (ZeroDivisionError, _TooLarge):
            continue
        return Calculation(text[1:-1] if level else text, value, level)


def random_calculations(per_level: int, seed: int = 0, levels: Sequence[int] = LEVELS) -> list[Problem]:
    """`per_level` different problems of every level, the levels in turn, so that any first part is of mixed size."""
    if per_level < 1:
        raise BadInput(f"{per_level} problems a level", where="random_calculations", do="give at least 1")
    problems: dict[str, Problem] = {}
    for index in range(per_level):
        for level in levels:
            problem = _fresh(level, seed, index, problems)
            problems[problem.prompt] = problem
    return list(problems.values())


def closeness(prediction: Fraction | float, gold: Fraction | float) -> float:
    """How close a prediction comes, from 0 to 1: half of it absolute, half relative. Not a number is 0."""
    if any(isinstance(value, float) and not math.isfinite(value) for value in (prediction, gold)):
        return 0.0
    b, most = Fraction(gold), Fraction(1)
    error = abs(Fraction(prediction) - b)
    return float(1 - min(error, most) / 2 - min(error / (abs(b) + Fraction(1, 10**6)), most) / 2)


def _fresh(level: int, seed: int, index: int, taken: dict[str, Problem]) -> Problem:
    attempt = 0
    while True:
        drawn = draw_calculation(level, seed, index, attempt)
        prompt = PROMPT.format(expression=drawn.text)
        if prompt not in taken:
            return Problem(f"{SOURCE}/{seed}/{level}/{index}", prompt, drawn.answer, SOURCE, "synthetic")
        attempt += 1


def _tree(level: int, rng: np.random.Generator) -> tuple[str, Fraction]:
    """Text, in parentheses unless it is a number, and value."""
    if level == 0:
        return _leaf(rng)
    first = int(rng.integers(0, level))
    sign = _OPERATIONS[int(rng.integers(0, 4))]
    (left, a), (right, b) = _tree(first, rng), _tree(level - 1 - first, rng)
    value = a + b if sign == "+" else a - b if sign == "-" else a * b if sign == "*" else a / b
    if max(abs(value.numerator), value.denominator) >= _LIMIT:
        raise _TooLarge
    return f"({left} {sign} {right})", value


def _leaf(rng: np.random.Generator) -> tuple[str, Fraction]:
    kind, a, b = (int(rng.integers(low, high)) for low, high in ((0, 4), (0, 101), (1, 101)))
    if kind == 1:
        return f"({a}/{b})", Fraction(a, b)
    return (f"{a}", Fraction(a)) if kind == 0 else (f"{a}^{kind}", Fraction(a**kind))
