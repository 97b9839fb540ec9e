"""Are the steps of a trace true? Chains exactly, texts by their arithmetic; and the measure made of it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tables import table

from probe.data import Estimate, Problem
from probe.measures import PairData, measures
from probe.rng import numpy_rng
from probe.tasks.chain import Chain, chain_problems, parse_prompt
from probe.tasks.published_outputs import Outputs, read_rlcr
from probe.tasks.validity import TextCheck, check_text, trace_valid

CHAIN = "chain7/B:3+5*2    ="
CODE = "```python\nx=3\nx=x+5#1\nx=x*2#2\nprint(x)\n```\n\\boxed{2}<eos>"
DRAWS, PROBLEMS, SAMPLES = 40, 40, 6
Found = dict[tuple[str, str], Estimate]


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (CODE, True),
        (CODE.replace("#1", "#2"), False),
        (CODE.replace("#2", "#3"), False),  # a right answer does not mend it
        (CODE.replace("x=3", "x=4"), False),  # another chain
        ("Think: plus 5=1 times 2=2\nSo \\boxed{2}", True),
        ("Think: plus 5=1 times 2\nSo \\boxed{2}", True),
        ("Think: plus 5=2 times 2\nSo \\boxed{2}", False),
        ("Think: plus 5 times 2\nSo \\boxed{2}", None),  # no value is shown
        ("so 3 + 4 = 8", None),  # no step of this chain
        ("", None),
    ],
)
def test_chains_are_checked_exactly(text: str, valid: bool | None) -> None:
    assert trace_valid(CHAIN, text) is valid


@pytest.mark.parametrize("problem", ["gsm8k/test/3", "chain7/none", "chain/B:3+5*2    =", "chain07/B:3+5*2    =", ""])
def test_other_problems_are_read_as_text(problem: str) -> None:
    assert trace_valid(problem, "so 3 + 4 = 7") is True
    assert trace_valid(problem, "so 3 + 4 = 7 and 3 + 4 = 8") is False
    assert trace_valid(problem, CODE) is None


def test_what_a_text_states() -> None:
    assert check_text("3 + 4 = 7, 3 + 4 = 8.") == TextCheck(2, 1, ((11, 20),))
    assert check_text("nothing") == TextCheck(0, 0, ())
    assert check_text("3 + 4 = 7<|endoftext|>3 + 4 = 8") == TextCheck(1, 1, ())  # run-on text is no step
    assert check_text("3 + 4 = 7").valid is True
    assert check_text("nothing").valid is None


def trace(chain: Chain, u: np.ndarray, false: float, shown: float) -> tuple[str, bool]:
    """A response that is right with .6 and, where it shows values at all, has one false value with this probability."""
    values = [str((value + (at == 0 and u[1] < false)) % 7) for at, value in enumerate(chain.values)]
    signs = {"+": "plus", "-": "minus", "*": "times"}
    steps = [
        f"{signs[op]} {b}" + (f"={value}" if u[2] < shown else "")
        for (op, b), value in zip(chain.steps, values, strict=True)
    ]
    return f"Think: {' '.join(steps)}\nSo \\boxed{{7}}<eos>", bool(u[0] < 0.6)


def side(false: float, shown: float, *address: str | int) -> pa.Table:
    problems = [problem for problem in chain_problems(PROBLEMS, "test", 0) for _ in range(SAMPLES)]
    u = numpy_rng("test", "validity", *address).random((len(problems), 3))
    chains = [parse_prompt(problem.prompt) for problem in problems]
    made = [trace(chain, row, false, shown) for chain, row in zip(chains, u, strict=True)]
    return rows(problems, [text for text, _ in made], [right for _, right in made])


def rows(problems: list[Problem], texts: list[str], right: list[bool]) -> pa.Table:
    n, samples = len(problems), len(problems) // len({problem.id for problem in problems})
    return table(
        problem=[problem.id for problem in problems],
        sample=[index % samples for index in range(n)],
        text=texts,
        boxed=["7"] * n,
        outcome=np.where(right, "right", "wrong"),
        strategy=["prose"] * n,
        python=[False] * n,
        confidence=[None] * n,
    )


def measured(before: pa.Table, after: pa.Table) -> Found:
    found = measures.get("trace_validity")()(PairData(before, after))
    return {(each.name, each.params["side"]): each for each in found}


def test_the_planted_share_is_recovered() -> None:
    """P(false value) .1 before, .4 after; .9 of the responses show values. Intervals cover as often as they say."""
    truth = {("trace_validity", "before"): 0.9, ("trace_validity", "after"): 0.6, ("trace_validity", "change"): -0.3}
    truth |= {("trace_checked", "before"): 0.9, ("trace_checked", "change"): 0.0}
    missed = dict.fromkeys(truth, 0)
    for draw in range(DRAWS):
        found = measured(side(0.1, 0.9, "before", draw), side(0.4, 0.9, "after", draw))
        for key, value in truth.items():
            missed[key] += not found[key].lo <= value <= found[key].hi
        change = found["trace_validity", "change"]
        assert change.hi < 0
        assert change.null == 0
    assert max(missed.values()) <= 7, missed  # P(Binomial(40, .05) > 7) = .0007


def test_null_pairs_are_flat() -> None:
    p = {"trace_validity": [], "trace_checked": []}  # type: dict[str, list[float]]
    for draw in range(DRAWS):
        found = measured(side(0.2, 0.8, "one", draw), side(0.2, 0.8, "other", draw))
        for name, values in p.items():
            values.append(found[name, "change"].p or 0.0)
    assert all(sum(value < 0.05 for value in values) <= 7 for values in p.values())


def test_only_right_responses_count_and_the_order_of_rows_is_nothing() -> None:
    before, after = side(0.1, 0.9, "a"), side(0.4, 0.9, "b")
    found = measured(before, after)
    right = before.filter(pa.array([outcome == "right" for outcome in before["outcome"].to_pylist()]))
    verdicts = [trace_valid(p, t) for p, t in zip(right["problem"].to_pylist(), right["text"].to_pylist(), strict=True)]
    checked = [verdict for verdict in verdicts if verdict is not None]
    here = found["trace_validity", "before"]
    assert (here.value, here.n) == (pytest.approx(sum(checked) / len(checked)), len(checked))
    order = numpy_rng("test", "order").permutation(before.num_rows)
    assert measured(before.take(order), after.take(order[::-1])) == found


def test_with_too_little_to_check_there_is_no_change() -> None:
    silent = side(0.1, 0.0, "silent")
    assert set(measured(silent, silent)) == {("trace_checked", name) for name in ("before", "after", "change")}
    assert ("trace_validity", "change") not in measured(silent, side(0.1, 0.9, "x"))
    assert ("trace_validity", "after") in measured(silent, side(0.1, 0.9, "x"))


@pytest.fixture(scope="module")
def rlcr(real_data: Path) -> Outputs:
    return read_rlcr(real_data / "rlcr_math500")


def test_golden_real_pair(rlcr: Outputs) -> None:
    """Of Qwen2.5-7B's right answers with arithmetic in them 97 % hold no false step, before and after RLVR.

    What changed is how often there is any: 46.6 % of the responses before, 28.8 % after.
    """
    tables = [
        rows(list(rlcr.problems), list(rlcr.systems[name].texts), list(rlcr.systems[name].right or ()))
        for name in ("Base", "RLVR")
    ]
    found = measured(*tables)
    assert found["trace_checked", "before"].value == pytest.approx(0.466)
    assert found["trace_checked", "after"].value == pytest.approx(0.288)
    assert found["trace_checked", "change"].hi < 0
    assert [found["trace_validity", name].n for name in ("before", "after")] == [114, 80]
    assert found["trace_validity", "before"].value == pytest.approx(111 / 114)
    assert found["trace_validity", "after"].value == pytest.approx(78 / 80)
    change = found["trace_validity", "change"]
    assert change.lo < 0 < change.hi
