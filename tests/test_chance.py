"""Chance is the accuracy of one answer to everything: no constant does better, by hand and over any answers."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.data import Problem
from probe.errors import BadInput
from probe.stats import wilson
from probe.tasks.chain import chain_problems
from probe.tasks.chance import best_constant, chance


def asked(answers: Sequence[str]) -> list[Problem]:
    return [Problem(id=f"p{i}", prompt="?", answer=answer, source="test") for i, answer in enumerate(answers)]


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(st.lists(st.sampled_from("0123456") | st.text(max_size=3), min_size=2, max_size=40), st.randoms())
def test_no_constant_does_better(answers: list[str], random) -> None:
    found = chance(asked(answers))
    assert found.value == pytest.approx(max(answers.count(answer) for answer in answers) / len(answers))
    assert answers.count(best_constant(asked(answers))) == pytest.approx(found.value * len(answers))
    assert (found.n, found.n_problems, found.null, found.p) == (len(answers), len(answers), None, None)
    assert 0 <= found.lo <= found.value <= found.hi <= 1
    shuffled = random.sample(answers, len(answers))
    assert best_constant(asked(shuffled)) == best_constant(asked(answers))


def test_by_hand() -> None:
    assert best_constant(asked(["3", "1", "3", "1", "0"])) == "1"  # of two, the first
    found = chance(asked(["3", "0", "3", "1"]))
    assert (found.value, found.n) == (0.5, 4)
    assert chance(asked(["7"] * 5)).value == 1


def test_chains_are_no_even_lottery() -> None:
    """A product is 0 more often than anything else: 0 is right more often than one time in seven."""
    problems = chain_problems(256, "test", 0)
    found = chance(problems)
    assert best_constant(problems) == "0"
    assert found.value == 57 / 256
    assert 1 / 7 < found.lo < found.value < found.hi
    assert (found.lo, found.hi) == pytest.approx(wilson(57, 256), abs=0.01)


def test_without_problems_there_is_no_answer() -> None:
    with pytest.raises(BadInput, match="no problems"):
        chance([])
