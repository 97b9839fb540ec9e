r"""Equalities of numbers in real text: found, left out, judged; hand-labelled cases, golden counts on real outputs."""

import json
from collections import Counter
from pathlib import Path

import pytest

from probe.rng import numpy_rng
from probe.tasks.equations import Equation, equations, holds
from probe.tasks.published_outputs import read_gsm8k_graded

Stated = list[tuple[str, str, bool]]


def stated(text: str) -> Stated:
    return [(each.lhs, each.rhs, holds(each)) for each in equations(text)]


# From Qwen2.5-7B (Base, RLVR, RLCR) on MATH-500, four GSM8K systems and MATH-500's own solutions; verdicts by hand.
REAL: list[tuple[str, Stated]] = [
    ("This simplifies to: -1 * 50 = -50\n\nTherefore", [("-1 * 50", "-50", True)]),
    (
        r"= \sqrt[4]{16 \cdot 16} = \sqrt[4]{256} = 4.\]",
        [(r"\sqrt[4]{16 \cdot 16}", r"\sqrt[4]{256}", True), (r"\sqrt[4]{256}", "4", True)],
    ),
    ("Bottom shelf: 6 - 2 = 4 science books", [("6 - 2", "4", True)]),
    ("$p(4) = (4 - 1)(4 - 2)(4 - 3)(4 + 6) = 120$", [("(4 - 1)(4 - 2)(4 - 3)(4 + 6)", "120", False)]),
    ("C(8, 2) = 8! / (2! * (8-2)!) = 28\n\nSo", [("8! / (2! * (8-2)!)", "28", True)]),
    ("is (7-1)! = 6!. To find", [("(7-1)!", "6!", True)]),
    ("the 70's decade is 12 + 12 + 6 + 13 = 43 stamps.", [("12 + 12 + 6 + 13", "43", True)]),
    ("\\(8^6 = 262144\\) (units digit is 4)", [("8^6", "262144", True)]),
    ("41: 4 + 1 = 5\n43: 4 + 3 = 7", [("4 + 1", "5", True), ("4 + 3", "7", True)]),
    ("= $16.4976 + $21.2139\n= $37.7115\n", [("16.4976 + $21.2139", "37.7115", True)]),
    (
        "is then 16 - 16/3 = 48/3 - 16/3 = 32/3. </think>",
        [("16 - 16/3", "48/3 - 16/3", True), ("48/3 - 16/3", "32/3", True)],
    ),
    ("5^2=25, 7^2=49, 11^2=121. Therefore", [("5^2", "25", True), ("7^2", "49", True), ("11^2", "121", True)]),
    ("two results: 0.7193 * 0.1732 = 0.1249. </think>", [("0.7193 * 0.1732", "0.1249", False)]),
    (r"&= 267 - 523 + 420 - 375 = -211,\\" + "\n", [("267 - 523 + 420 - 375", "-211", True)]),
    ("was 18 - 4 * 3 = 12, so A + (A - 4) = 12", [("18 - 4 * 3", "12", False)]),
    ("150 USD in pounds is 150 / 1.64 = 91.41 pounds", [("150 / 1.64", "91.41", False)]),
    ("sin(A + B) = 0.4*0.87 + 0.92*0.5 = 0.668 + 0.46 = 1.128", [
        ("0.4*0.87 + 0.92*0.5", "0.668 + 0.46", False), ("0.668 + 0.46", "1.128", True)]),
    (r"discriminant is $(-4)^2 + 4 \cdot 1 \cdot (-1) = 20$, which", [(r"(-4)^2 + 4 \cdot 1 \cdot (-1)", "20", False)]),
    ("She makes 9 * 2 = $<<9*2=18>>18 every day", [("9 * 2", "18", True), ("9*2", "18", True)]),
    ("need 4 + 3 + 4 = <<22+4+1=27>>27 bags", [("4 + 3 + 4", "27", False), ("22+4+1", "27", True)]),
    ("3*100/60 = <<3*100/60=5.0>>5 minutes", [("3*100/60", "5", True), ("3*100/60", "5.0", True)]),
    ("=<<140/60=2.3333333333333335>>2 minutes", [("140/60", "2.3333333333333335", True)]),
    ("$<<4.20+9.45+1.35=14.999999999999998>>14.99.", [("4.20+9.45+1.35", "14.999999999999998", True)]),
    ("will get 56/6 = 9 oranges", [("56/6", "9", False)]),
    ("is 25/75 x 100% = 25%\nA: 25", [("25/75 x 100%", "25%", False)]),
    ("so it is (5/20)*100 = 25%", [("(5/20)*100", "25%", True)]),
    ("homework: 50% + 40% + 20% = 100%", [("50% + 40% + 20%", "100%", False)]),
    ("spent 5+2 = $<<5+2=7.00>>7.00 in total", [("5+2", "7.00", True), ("5+2", "7.00", True)]),
    ("That means 1 - 1 - 1 - 1 = 0.01.\n", [("1 - 1 - 1 - 1", "0.01", False)]),
]  # fmt: skip

# Where nothing is stated that numbers alone could make true or false.
SILENT = [
    "The equation $z^4 + z^2 + 1 = 0$ has roots",
    "3x + 110 + 100 = 360",
    "f(3) = 3 + 4",
    "3 + 4 = 7x",
    "3 + 4 = 7 hundred",
    r"3 + 4 = 7 \pi",
    "cost - 3 + 4 = 1",
    "half of 6 + 4 = 7",
    "20% of 50 = 0.2 * 50",
    "phi(3*4) = 4",
    "gcd(12, 18) = 6",
    "3:4 = 6/8",
    "1 + 2 + \\cdots + 10 = 55",
    "1/3 = 0.333...",
    r"$\frac{279}{99999} = 0.\overline{00279}$",
    "101_2 + 11_2 = 1000_2",
    r"Since $4\cdot 6=24\equiv 1\pmod{23}$",
    "17 = 2 + 0 (mod 5)",
    "42 ÷ 8 = 5 with a remainder of 2",
    r"$54 \div 5 = 10$ remainder $4$",
    "or $9 + 19 = 10$, which is not true. If",
    "For x = 1: $1 = \\sqrt{9} + 4$ => no",
    "Is 3 + 4 = 8?",
    "if 3 + 4 == 8: pass",
    "x += 3 + 4 = 2",
    "(1,2) + (3,4) = (4,6)",
    "|3 - 5| = 2",
    "24 = 2^3 * 3",
    r"turns exactly $5\times4=20$ times",  # true, and missed: "20 times 3" would not be
    "\u22603 + 4",
    "6/2(1+2) = 9",
    "[asy] draw((0,0)--(1+1=3,0)); [/asy]",
    "",
]


@pytest.mark.parametrize(("text", "wanted"), REAL, ids=range(len(REAL)))
def test_real_equalities(text: str, wanted: Stated) -> None:
    assert stated(text) == wanted


@pytest.mark.parametrize("text", SILENT)
def test_what_states_no_equality_of_numbers(text: str) -> None:
    assert stated(text) == []


@pytest.mark.parametrize(
    ("lhs", "rhs", "true"),
    [
        ("10/3", "3.33", True),
        ("10/3", "3.34", False),
        ("2/3", ".66", True),
        ("2/3", "0.67", True),
        ("2/3", "0.7", True),
        ("2/3", "0.65", False),
        ("-2/3", "-0.66", True),
        ("3.33", "10/3", True),
        ("10/3", "3", False),
        ("1/1000", "0.0", False),
        ("1/3", "33%", True),
        ("1/3", "34%", False),
        ("7/2", "3.5", True),
        ("80 / 26.666666666666668", "3", True),
        ("0.47119999999999995*10", "4.712199999999996", False),
        ("3 + 4", "x", False),
    ],
)
def test_what_is_true(lhs: str, rhs: str, true: bool) -> None:
    assert holds(Equation(lhs, rhs, (0, 0))) is true


def test_lists_lines_and_bold_type() -> None:
    text = "1. 3 + 4 = 7\n2. **5 + 5 = 10**\n- 1 + 1 = 2\n- 2 + 2 = **4**\n"
    text += "\\begin{align*}\nx &= 1 + 2 \\\\\n&= 3\n\\end{align*}"
    wanted = ["3 + 4", "5 + 5", "1 + 1", "2 + 2", "1 + 2"]
    assert [each.lhs for each in equations(text)] == wanted
    assert all(holds(each) for each in equations(text))


def test_spans_are_places_in_the_text() -> None:
    text = "so 9 * 2 = $<<9*2=18>>18, and\n 3 + 4\n = 7 = 14/2."
    for each in equations(text):
        part = text[slice(*each.span)]
        assert part.startswith(each.lhs)
        assert part.endswith(each.rhs)
    assert [each.span[0] for each in equations(text)] == sorted(each.span[0] for each in equations(text))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 200_000 + "=",
        "1+1=" * 50_000,
        "1" * 200_000 + "=1+1",
        "=" * 200_000,
        "<<" * 100_000,
        "[asy]" * 40_000,
        "\\text{" * 30_000 + "=",
        "1,111" * 40_000 + "=2",
        " \n" * 100_000 + "=1",
        "& " * 100_000 + "=1",
        "9^{9^{9^9}} = 10!! = 1",
        "a" * 200_000 + "=1+1",
        "\x00 = 1+1 \ud800",
    ],
    ids=range(13),
)
def test_hostile_texts_end_and_state_nothing_false(text: str) -> None:
    assert all(holds(each) or "1=1+1" in text for each in equations(text))


def test_what_lies_beyond_is_not_looked_at() -> None:
    assert equations("x" * 200_000 + " 3 + 4 = 8") == []


def test_published_solutions_are_true_but_for_one_typo(real_data: Path) -> None:
    """MATH-500: 521 equalities in 246 of 500 solutions. The false one is theirs: -4 * 1 * (-1) is printed with a +."""
    rows = [json.loads(line) for line in (real_data / "math500" / "test.jsonl").read_text().splitlines()]
    found = [(row["unique_id"], each) for row in rows for each in equations(row["solution"])]
    false = [(name, each.lhs, each.rhs) for name, each in found if not holds(each)]
    assert (len(found), len({name for name, _ in found})) == (521, 246)
    assert false == [("test/algebra/351.json", r"(-4)^2 + 4 \cdot 1 \cdot (-1)", "20")]


def test_right_solutions_hold_fewer_false_steps(real_data: Path) -> None:
    """GSM8K: of the right solutions 99 % are without a false step, of the wrong ones 92 to 96 %, in every system."""
    for system in read_gsm8k_graded(real_data / "gsm8k_graded").systems.values():
        seen: Counter[tuple[bool, str]] = Counter()
        assert system.right is not None
        for place in numpy_rng("test", "gsm8k", system.system).permutation(1319)[:500].tolist():
            verdicts = [holds(each) for each in equations(system.texts[place])]
            if verdicts:
                seen[system.right[place], "all true" if all(verdicts) else "false"] += 1
        share = {
            right: seen[right, "all true"] / (seen[right, "all true"] + seen[right, "false"]) for right in (True, False)
        }
        assert share[True] > 0.97
        assert 0.88 < share[False] < share[True]
