"""Random calculations: exact, addressed, in size, gradable; and how close a prediction comes."""

import math
import re
from collections import Counter
from fractions import Fraction
from typing import Any

import pytest

from probe.data import Outcome
from probe.errors import BadInput
from probe.rewards import rewards
from probe.rewards.closeness import Closeness
from probe.rewards.compose import from_spec, spec
from probe.tasks.grading import Grader
from probe.tasks.random_calculation import LEVELS, MAX_DIGITS, closeness, draw_calculation, random_calculations


def operations(text: str) -> int:
    """Operations between parts; the / of a number "(3/4)" has no spaces around it."""
    return len(re.findall(r" [-+*/] ", text))


def test_levels_are_numbers_of_operations() -> None:
    for level in (0, *LEVELS):
        drawn = draw_calculation(level, "levels")
        assert (operations(drawn.text), drawn.level) == (level, level)
        assert drawn.text.count("(") == drawn.text.count(")")
        assert max(len(str(abs(drawn.value.numerator))), len(str(drawn.value.denominator))) <= MAX_DIGITS


def test_numbers_are_integers_fractions_squares_and_cubes_up_to_a_hundred() -> None:
    drawn = [draw_calculation(0, "numbers", index).text for index in range(2000)]
    kinds = Counter(re.sub(r"\d+", "n", re.sub(r"\^\d", lambda m: m[0].replace("^", "^p"), text)) for text in drawn)
    assert set(kinds) == {"n", "(n/n)", "n^pn"}
    assert abs(kinds["n"] - 500) < 80  # four standard errors
    assert abs(kinds["(n/n)"] - 500) < 80
    assert {text[-1] for text in drawn if "^" in text} == {"2", "3"}
    integers = [int(part) for text in drawn for part in re.findall(r"\d+", text.partition("^")[0])]
    assert (min(integers), max(integers)) == (0, 100)


def test_a_draw_is_a_function_of_its_address() -> None:
    assert draw_calculation(7, "a", 1) == draw_calculation(7, "a", 1)
    assert draw_calculation(7, "a", 1) != draw_calculation(7, "a", 2)
    assert random_calculations(2, seed=1)[:5] != random_calculations(2)[:5]
    assert random_calculations(3)[: 2 * len(LEVELS)] == random_calculations(2)  # more of them changes none


def test_problems_differ_and_come_in_mixed_size() -> None:
    found = random_calculations(4)
    assert len({problem.id for problem in found}) == len({problem.prompt for problem in found}) == 80
    assert [operations(problem.prompt) for problem in found[:20]] == list(LEVELS)
    assert {(problem.source, problem.leak) for problem in found} == {("random-calculation", "synthetic")}
    many = random_calculations(4000, levels=[0])  # numbers alone soon repeat
    assert len({problem.prompt for problem in many}) == 4000


def test_the_grader_reads_every_gold_answer() -> None:
    with Grader() as grader:
        for problem in random_calculations(2):
            value = Fraction(problem.answer)
            assert grader.compare(problem.answer, problem.answer) is Outcome.right
            assert grader.compare(str(value + 1), problem.answer) is Outcome.wrong
            whole, rest = divmod(abs(value) * 10**8, 1)
            digits = f"{int(whole):09d}"
            decimal = f"{'-' if value < 0 else ''}{digits[:-8]}.{digits[-8:]}"
            assert grader.compare(decimal, problem.answer) is Outcome.right, (decimal, rest)
        assert not grader._verifier.child.running


@pytest.mark.parametrize("level", [-1, 101])
def test_levels_out_of_range(level: int) -> None:
    with pytest.raises(BadInput, match="number of operations"):
        draw_calculation(level, "x")


def test_at_least_one() -> None:
    with pytest.raises(BadInput, match="0 problems a level"):
        random_calculations(0)


@pytest.mark.parametrize(
    ("prediction", "gold", "score"),
    [
        (5, 5, 1.0),
        (Fraction(1, 3), Fraction(1, 3), 1.0),
        (4.5, 5, 1 - 0.25 - 0.5 * 0.5 / (5 + 1e-6)),
        (7, 5, 1 - 0.5 - 0.5 * 2 / (5 + 1e-6)),
        (1000, 1001, 0.5 - 0.5 / (1001 + 1e-6)),
        (99, 5, 0.0),
        (-5, 5, 0.0),
        (0, 0, 1.0),
        (0.25, 0, 0.375),  # any error is large beside 0
        (math.nan, 5, 0.0),
        (math.inf, 5, 0.0),
        (5, math.nan, 0.0),
        (10**400, 5, 0.0),
        (10**400, 10**400 + 1, 0.5),
    ],
    ids=range(14),
)
def test_closeness_by_hand(prediction: Any, gold: Any, score: float) -> None:
    assert closeness(prediction, gold) == pytest.approx(score, abs=1e-9)


def test_the_reward() -> None:
    texts = [r"\boxed{5}", r"\boxed{4.5}", r"so \boxed{\frac{9}{2}}", "5", r"\boxed{odd}", r"\boxed{5}", r"\boxed{5}"]
    answers = ["5", "5", "5", "5", "5", "(1,2)", None]
    near = closeness(4.5, 5)
    assert Closeness()(completions=texts, answers=answers) == [1.0, near, near, 0.0, 0.0, None, None]
    assert Closeness()(completions=[r"\boxed{five}"], answers=["5"]) == [1.0]
    assert Closeness()(completions=[r"\boxed{50\%}<|endoftext|>\boxed{1}"], answers=["50"]) == [1.0]
    assert Closeness()(completions=["\\boxed{" + "9" * 2000 + "}"], answers=["5"]) == [0.0]
    assert from_spec(spec(Closeness())) == Closeness()
    assert rewards.get("closeness") is Closeness
    with pytest.raises(BadInput, match="one answer per response"):
        Closeness()(completions=["x"])
