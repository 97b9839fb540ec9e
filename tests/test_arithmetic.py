r"""Arithmetic is worked out exactly, nothing else is, and nothing that is written can make it work long."""

from fractions import Fraction

import pytest

from probe.tasks.arithmetic import read
from probe.tasks.random_calculation import random_calculations

F = Fraction


def evaluate(text: str) -> Fraction | None:
    found = read(text)
    return None if found is None else found.exact


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3+4", 7),
        ("7 - 3 - 2", 2),
        ("48/2/2", 12),
        ("2 + 3 * 4", 14),
        ("2 x 0.5", 1),
        ("5x5", 25),
        ("2 × 3 · 4 ÷ 6", 4),
        (r"2 \times 3 \cdot 4 \div 6", 4),
        ("2(3+4)", 14),
        ("(2)(3)[4]", 24),
        (r"\left(1 + 2\right) \cdot 2", 6),
        ("3 - -4", 7),
        ("−3 + 5", 2),
        ("-3^2", -9),
        ("(-3)^2", 9),
        ("2^3^2", 512),
        ("2**10", 1024),
        ("2 ** 3", 8),
        ("2^{10}", 1024),
        ("3²", 9),
        ("2^-1", F(1, 2)),
        ("4^{1/2}", 2),
        ("8^(2/3)", 4),
        (r"\frac{1}{2}", F(1, 2)),
        (r"\dfrac12", F(1, 2)),
        (r"\frac1{3}", F(1, 3)),
        (r"\frac{2 + 4}{\frac{1}{2}}", 12),
        (r"1\frac{1}{2}", F(3, 2)),
        ("1 1/2", F(3, 2)),
        (r"2\frac{3}{2}", 3),
        (r"2\sqrt{9}", 6),
        (r"\sqrt[3]{-27}", -3),
        ("√16 + sqrt(9)", 7),
        ("5!", 120),
        (r"\binom{5}{2}", 10),
        ("20%", F(1, 5)),
        (r"50 \cdot 20\%", 10),
        ("1,000 * 2", 2000),
        ("100{,}000/2", 50000),
        ("$3.50 + $1.25", F(19, 4)),
        ("1.5e3", 1500),
        ("0.1+0.2", F(3, 10)),
        (".5*2", 1),
        (r"90^\circ + 45°", 135),
        ("**7** + 1", 8),
        ("2 + (3 +\n4)", 9),
    ],
)
def test_values(text: str, value: Fraction) -> None:
    assert evaluate(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-",
        "3 +",
        "* 3",
        "3 4",
        "(3",
        "(3]",
        "3)",
        "x + 1",
        "2x",
        "3 = 3",
        "7 % 3",
        "7 // 2",
        "6/2(1+2)",  # two readings
        "1/0",
        "0^0",
        "0^-1",
        r"\sqrt{2}",
        "(-1)^(1/2)",
        "2.5!",
        "(-1)!",
        r"\binom{2}{5}",
        r"\log 3",
        "101_2",
        "3.1.2",
        "1,2",
        "٣+٤",
        "1e9999",
        "0x10",
        "3 \\pm 4",
        "1 + 2 + ... + 9",
    ],
)
def test_what_is_no_number(text: str) -> None:
    assert evaluate(text) is None


@pytest.mark.parametrize(
    "text",
    ["__import__('os').getcwd()", "open('x')", "(lambda: 1)()", "exit()", "[].append(1)", "print(1)", "True + 1"],
)
def test_code_is_not_run(text: str) -> None:
    assert evaluate(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "9^{9^{9^9}}",
        "10**10**10",
        "9^" * 150 + "9",
        "2^4097",
        "(1/3)^9999",
        "10000000!",
        "200!!!!",
        r"\binom{9999999}{5000000}",
        r"\sqrt[12]{" + "9" * 90 + "}",
        "(" * 10_000 + "1" + ")" * 10_000,
        "(1+" * 100 + "1" + ")" * 100,
        "-" * 3000 + "1",
        "1" * 3_000_000,
        "1+" * 500_000 + "1",
        "99999^9*" * 30 + "1",
    ],
    ids=lambda text: text[:12],
)
def test_bombs_end_at_once(text: str) -> None:
    assert evaluate(text) is None


def test_sixty_levels_are_enough_for_anybody() -> None:
    assert evaluate("(1+" * 55 + "1" + ")" * 55) == 56


def test_what_was_drawn_is_read_back() -> None:
    """Two ways to the same number: the value a calculation was drawn with, and that of its text."""
    for problem in random_calculations(3):
        text = problem.prompt.partition("value of ")[2].partition(". Give")[0]
        assert evaluate(text) == Fraction(problem.answer)


def test_operations_and_shown_decimals_are_counted() -> None:
    def told(text: str) -> tuple[int, int | None]:
        found = read(text)
        assert found is not None
        return found.operations, found.places

    assert told("3.33") == (0, 2)
    assert told("$ -7") == (0, 0)
    assert told("33%") == (0, 2)
    assert told("1 + 2*3") == (2, None)
    assert told(r"\frac{1}{2}") == (1, None)
    assert told("2^3") == (1, None)
