"""Chains by hand, prompts that read back, a split that never moves, and traces checked step by step."""

from collections import Counter
from itertools import islice

import pytest

from probe.errors import BadInput
from probe.grammar import LENGTHS, LETTERED, lettered
from probe.rng import numpy_rng
from probe.tasks.chain import (
    Chain,
    apply,
    chain_problems,
    check_trace,
    draw_chains,
    parse_prompt,
    split_of,
)

CHAIN = Chain("B", 3, (("+", 5), ("*", 2), ("-", 6)))  # 3 -> 1 -> 2 -> 3
CODE = "```python\nx=3\nx=x+5#1\nx=x*2#2\nx=x-6#3\nprint(x)\n```\n\\boxed{3}"
PROSE = "Think: plus 5=1 times 2 minus 6=3\nSo \\boxed{3}"


def some_chains(n: int, modulus: int = 7) -> list[Chain]:
    return list(islice(draw_chains(numpy_rng("test chains"), lettered(modulus)), n))


@pytest.mark.parametrize(
    ("operation", "a", "b", "modulus", "value"),
    [("+", 3, 5, 7, 1), ("-", 2, 6, 7, 3), ("*", 4, 5, 7, 6), ("-", 0, 6, 7, 1), ("*", 12, 13, 100, 56)],
)
def test_one_step_by_hand(operation: str, a: int, b: int, modulus: int, value: int) -> None:
    assert apply(operation, a, b, modulus) == value


def test_a_chain_by_hand() -> None:
    assert CHAIN.values == (1, 2, 3)
    assert CHAIN.prompt == "B:3+5*2-6  ="
    problem = CHAIN.problem()
    assert (problem.id, problem.prompt, problem.answer) == ("chain7/B:3+5*2-6  =", CHAIN.prompt, "3")
    assert (problem.source, problem.leak) == ("chain7", "synthetic")


def test_a_chain_runs_left_to_right() -> None:
    assert Chain("A", 1, (("+", 1), ("*", 3))).values == (2, 6)  # not 1 + 3


@pytest.mark.parametrize("modulus", [7, 10, 100])
def test_prompts_read_back_and_differ_where_chains_do(modulus: int) -> None:
    chains = some_chains(2000, modulus)
    assert [parse_prompt(chain.prompt, modulus) for chain in chains] == chains
    assert len({chain.prompt for chain in chains}) == len(set(chains))


def test_every_prompt_is_as_long_as_any_other() -> None:
    assert {len(chain.prompt) for chain in some_chains(500)} == {12}


@pytest.mark.parametrize("prompt", ["", "B:3+5*2", "E:3+5=", "B:3/5=", "B:+5=", "B:3=", " B:3+5=", "B:3+5=\n", ":3+5="])
def test_what_is_no_chain_is_refused(prompt: str) -> None:
    with pytest.raises(BadInput, match="not a chain prompt"):
        parse_prompt(prompt)


def test_draws_are_uniform_over_styles_lengths_and_numbers() -> None:
    chains = some_chains(12_000)
    kinds = Counter((chain.style, len(chain.steps)) for chain in chains)
    assert set(kinds) == {(style, length) for style in LETTERED.styles for length in LENGTHS}
    assert all(abs(count - 1000) < 5 * 31 for count in kinds.values())  # 5 standard deviations
    starts = Counter(chain.start for chain in chains)
    steps = Counter(step for chain in chains for step in chain.steps)
    assert sorted(starts) == list(range(7))
    assert len(steps) == 21
    assert max(steps.values()) < 1.2 * min(steps.values())


def test_the_splits_are_disjoint_and_one_in_eight_is_held_out() -> None:
    problems = {kind: chain_problems(600, kind, 0) for kind in ("train", "test")}
    assert all(split_of(p.prompt) == kind for kind, found in problems.items() for p in found)
    assert not {p.prompt for p in problems["train"]} & {p.prompt for p in problems["test"]}
    share = sum(split_of(chain.prompt) == "test" for chain in some_chains(8000)) / 8000
    assert share == pytest.approx(1 / 8, abs=5 * (7 / 64 / 8000) ** 0.5)


def test_the_split_never_moves() -> None:
    """Golden: were the hash to change, organisms made before would have trained on what is now held out."""
    assert [p.prompt for p in chain_problems(3, "test", 0)] == ["B:3-5+0    =", "A:5+4*1    =", "A:6+4*3+2  ="]
    assert [p.prompt for p in chain_problems(3, "train", 0)] == ["D:2-5-2    =", "B:6+4+6    =", "B:2-5*2-3-4="]


def test_problems_are_a_function_of_split_and_seed() -> None:
    first = chain_problems(50, "train", 3)
    assert chain_problems(50, "train", 3) == first
    assert chain_problems(20, "train", 3) == first[:20]
    assert len({p.id for p in first}) == 50
    assert {p.id for p in chain_problems(50, "train", 4)} != {p.id for p in first}
    assert all(p.answer == str(parse_prompt(p.prompt).values[-1]) for p in first)


@pytest.mark.parametrize(("text", "shown"), [(CODE, 3), (PROSE, 2), ("Think: plus 5 times 2 minus 6\nSo 3.", 0)])
def test_a_true_trace_is_valid(text: str, shown: int) -> None:
    check = check_trace(CHAIN, text)
    assert (check.shown, check.true, check.faithful, check.valid) == (shown, shown, True, True)


@pytest.mark.parametrize("text", [CODE.replace("#2", "#5"), PROSE.replace("=1", "=4")])
def test_a_false_step_is_seen(text: str) -> None:
    check = check_trace(CHAIN, text)
    assert check.faithful
    assert check.true == check.shown - 1
    assert not check.valid


def test_values_are_compared_with_the_true_running_value() -> None:
    check = check_trace(CHAIN, "```python\nx=3\nx=x+5#4\nx=x*2#1\nx=x-6#2\n")  # 4 * 2 = 1 and 1 - 6 = 2 follow from 4
    assert (check.shown, check.true) == (3, 0)


@pytest.mark.parametrize(
    "text",
    [
        CODE.replace("x+5", "x+4"),
        CODE.replace("x*2", "x+2"),
        CODE.replace("x=3\n", "x=4\n"),  # the start
        CODE.replace("\nx=x-6#3", ""),
        CODE.replace("\nprint", "\nx=x+0#3\nprint"),
        PROSE.replace("times 2", "times 3"),
        "",
        "The answer is 3.",
    ],
)
def test_a_trace_that_does_not_restate_the_chain_is_unfaithful(text: str) -> None:
    check = check_trace(CHAIN, text)
    assert not check.faithful
    assert not check.valid


def test_longer_numbers_are_read_whole() -> None:
    chain = Chain("A", 12, (("+", 95), ("*", 10)), modulus=100)
    assert chain.values == (7, 70)
    assert check_trace(chain, "```python\nx=12\nx=x+95#7\nx=x*10#70\nprint(x)\n```\n").valid
    assert not check_trace(chain, "```python\nx=12\nx=x+95#7\nx=x*10#7\nprint(x)\n```\n").valid
