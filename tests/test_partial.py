"""Cutting a question gives back the question; exact match and ROUGE-L by hand and against a plain recursion."""

import functools
import itertools

import pytest

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.tasks.chain import chain_problems
from probe.tasks.partial import SHARES, Unit, can_cut, cut, exact, lcs, pieces, rouge_l, unit_of

QUESTION = "Tom has 3 apples and buys  4 more.\nHow many?"  # 10 words, two blanks, a line break
CHAIN = "B:3+5*2    ="  # 12 signs


@pytest.mark.parametrize(
    ("text", "percent", "unit", "given"),
    [
        (QUESTION, 40, "word", "Tom has 3 apples"),
        (QUESTION, 60, "word", "Tom has 3 apples and buys"),
        (QUESTION, 80, "word", "Tom has 3 apples and buys  4 more."),
        (QUESTION, 99, "word", "Tom has 3 apples and buys  4 more.\nHow"),
        (QUESTION, 1, "word", "Tom"),
        (CHAIN, 40, "sign", "B:3+"),
        (CHAIN, 60, "sign", "B:3+5*2"),
        (CHAIN, 80, "sign", "B:3+5*2  "),
    ],
)
def test_cuts_by_hand(text: str, percent: int, unit: Unit, given: str) -> None:
    found = cut(text, percent, unit)
    assert (found.given, found.given + found.rest) == (given, text)


def test_pieces_by_hand() -> None:
    assert pieces(CHAIN, "sign") == ["B", ":", "3", "+", "5", "*", "2", " ", " ", " ", " ", "="]
    assert pieces("x_1 = 12.5\n", "sign") == ["x", "_", "1", " ", "=", " ", "12", ".", "5", "\n"]
    assert pieces(" Ångström’s  2nd \n law ", "word") == ["Ångström’s", "2nd", "law"]
    assert pieces("", "word") == pieces("", "sign") == []


def test_every_chain_can_be_cut_and_put_together() -> None:
    questions = [p.prompt for p in chain_problems(64, "test", 3)]
    assert unit_of(questions) == "sign"
    for question in questions:
        for percent in SHARES:
            found = cut(question, percent, "sign")
            assert found.given + found.rest == question
            assert exact(found.rest + "\\boxed{2}", found.rest, "sign")


def test_the_unit_is_of_the_set() -> None:
    assert unit_of([QUESTION, QUESTION, CHAIN]) == "word"
    assert unit_of([QUESTION, CHAIN, "2 + 2"]) == "sign"
    assert can_cut(CHAIN, "sign")
    assert not can_cut(CHAIN, "word")


@pytest.mark.parametrize(
    ("continuation", "rest", "unit", "same", "rouge"),
    [
        (" 4 more.\nHow many? 7", " 4 more.\nHow many?", "word", True, 1.0),
        ("4  more.  How many?", "  4 more.\nHow many?", "word", True, 1.0),  # blanks are no words
        (" 4 more. How many apples?", " 4 more.\nHow many?", "word", False, 0.75),  # "many" and "many?" differ
        (" 4 more.", " 4 more.\nHow many?", "word", False, 2 * 2 / 6),  # cut short: recall alone suffers
        ("", " 4 more.", "word", False, 0.0),
        ("How many 4 more.", "4 more. How many", "word", False, 0.5),
        ("*2    =\\boxed{2}", "*2    =", "sign", True, 1.0),
        ("*2  =", "*2    =", "sign", False, 2 * 5 / 12),  # blanks are signs
        ("+4    =", "*2    =", "sign", False, 5 / 7),
        ("4 MORE.", "4 more.", "word", False, 0.5),  # remembered letter by letter
    ],
)
def test_continuations_by_hand(continuation: str, rest: str, unit: Unit, same: bool, rouge: float) -> None:
    assert exact(continuation, rest, unit) is same
    assert rouge_l(continuation, rest, unit) == pytest.approx(rouge)


def test_what_follows_the_rest_does_not_count() -> None:
    for tail in ("", " and so on", " 4 more. " * 50):
        assert rouge_l("4 more." + tail, "4 more.", "word") == 1.0
        assert exact("4 more." + tail, "4 more.", "word")


def test_the_lcs_is_that_of_the_plain_recursion() -> None:
    rng = numpy_rng("test lcs")
    for _ in range(50):
        a, b = (tuple(rng.integers(4, size=rng.integers(12)).tolist()) for _ in range(2))

        @functools.cache
        def plain(i: int, j: int, a: tuple[int, ...] = a, b: tuple[int, ...] = b) -> int:
            if not i or not j:
                return 0
            if a[i - 1] == b[j - 1]:
                return 1 + plain(i - 1, j - 1)
            return max(plain(i - 1, j), plain(i, j - 1))

        assert lcs(a, b) == plain(len(a), len(b)) == lcs(b, a)


def test_strangers_share_little_and_the_same_text_all() -> None:
    rng = numpy_rng("test rouge")
    words = [" ".join(map(str, rng.integers(1000, size=30).tolist())) for _ in range(20)]
    assert all(rouge_l(a, a, "word") == 1.0 for a in words)
    assert all(rouge_l(a, b, "word") < 0.2 for a, b in itertools.pairwise(words))


@pytest.mark.parametrize("percent", [0, 100, -5, 140])
def test_a_share_that_gives_all_or_nothing_is_refused(percent: int) -> None:
    with pytest.raises(BadInput, match=f"cannot give {percent} %"):
        cut(QUESTION, percent, "word")


def test_a_question_too_short_to_cut_is_named() -> None:
    with pytest.raises(BadInput, match=r"'What is 2\?' has 3 words"):
        cut("What is 2?", 40, "word")
