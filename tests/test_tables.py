"""Tables in narrow terminals: every command's, with rows wider than any; nothing leaves the line, no number is cut."""

import ast
import importlib
import itertools
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from probe.cli.layout import GAP, LEAST, filled, parts
from probe.cli.show import table

ROOT = Path(__file__).parents[1]
INTERVAL = "[-123.4, +567.8]"
HOSTILE = "\x1b[2J\u202e\u65e5\u672c\u8a9e [bold]x[/] a_name_that_is_longer_than_the_column and-then-some words"
LISTED = ("name", "base", "reward", "about", "from", "licence", "MB", "fetched")  # of `ls`, worked out there
CROSSED = ("share", "swaps", "random", "problems")


def every_table() -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """(command, columns, which are numbers) of each call of `table` in the commands."""
    for path in sorted((ROOT / "probe" / "cli").glob("*.py")):
        module = vars(importlib.import_module(f"probe.cli.{path.stem}"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "table":
                right = next((each.value for each in node.keywords if each.arg == "right"), None)
                right = right or (node.args[3] if len(node.args) > 3 else ast.Constant(()))
                known = module | {"columns": LISTED if path.stem == "ls" else CROSSED, "outcomes": ["right", "wrong"]}
                columns, numbers = (eval(ast.unparse(each), known) for each in (node.args[0], right))  # noqa: S307
                yield f"{path.stem} {node.lineno}", tuple(columns), tuple(numbers)


TABLES = {name: (columns, numbers) for name, columns, numbers in every_table()}


def test_every_table_is_looked_at() -> None:
    calls = sum(path.read_text(encoding="utf-8").count("table(") for path in (ROOT / "probe" / "cli").glob("*.py"))
    assert 25 < len(TABLES) <= calls
    assert {"changes", "ls", "explain", "features", "forecast"} <= {name.split()[0] for name in TABLES}


@pytest.mark.parametrize("room", [60, 80, 120])
@pytest.mark.parametrize("name", TABLES)
def test_wide_rows_stay_on_their_lines(
    name: str, room: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns, numbers = TABLES[name]
    monkeypatch.setenv("COLUMNS", str(room))
    row = [INTERVAL if column in numbers else HOSTILE for column in columns]
    table(columns, [row, row], f"a title: {HOSTILE * 3}", right=numbers)
    lines = capsys.readouterr().out.splitlines()
    assert all(cell_len(line) <= room for line in lines)
    assert all(unicodedata.category(char) not in ("Cc", "Cf") for line in lines for char in line)
    there = sum(line.count(INTERVAL) for line in lines)
    repeated = columns[0] in numbers  # then the first number says what a row is, in each part
    assert there >= 2 * sum(column in numbers for column in columns) and (repeated or there % 2 == 0)
    squeezed = "".join("".join(lines).split())
    assert "longer_than" in squeezed or all(column in numbers for column in columns) or room < 120


def test_a_table_that_fits_is_left_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    table(("measure", "value"), [("accuracy", ".42"), ("[bold]x[/]", "-1.5")], right=("value",))
    assert capsys.readouterr().out == "measure     value\naccuracy      .42\n[bold]x[/]   -1.5\n\n"
    table(("measure", "value"), [], right=("value",))
    assert capsys.readouterr().out.split() == ["measure", "value"]


def test_parts_begin_with_the_words_that_say_what_a_row_is() -> None:
    found = parts([30, *[10] * 9], [False, *[True] * 9], 80)
    assert [part.columns[0] for part in found] == [0] * len(found) and len(found) == 3
    assert [place for part in found for place in part.columns[1:]] == list(range(1, 10))
    (whole,) = parts([50, 10, 10], [False, True, True], 60)  # words are narrowed first
    assert whole.widths == (60 - 2 * (10 + GAP), 10, 10)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(1, 200), st.booleans()), min_size=1, max_size=14), st.integers(40, 200))
def test_every_column_stands_once_and_in_its_room(columns: list[tuple[int, bool]], room: int) -> None:
    widths, numbers = [width for width, _ in columns], [number for _, number in columns]
    found = parts(widths, numbers, room)
    keys = list(itertools.takewhile(lambda place: not numbers[place], range(len(widths)))) or [0]
    assert {place for part in found for place in part.columns} == set(range(len(widths)))
    if len(keys) * (LEAST + GAP) + GAP < room / 2 and not numbers[0]:
        assert all(sum(part.widths) + GAP * (len(part.widths) - 1) <= room for part in found)
        assert all(width >= 1 for part in found for width in part.widths)
    assert sum(filled(widths, room)) <= max(room, len(widths))
