"""How is something shown? Results on stdout, messages on stderr; text from models and files never as markup or control.

Everything that comes from outside (names, texts, paths) passes `clean`: one line, rich's markup escaped. That nothing
in it moves the cursor is seen to by `probe.terminal`, which all text passes.
"""

import json
import math
import os
from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from probe.cli.layout import parts
from probe.numbers import bracketed, decimal
from probe.terminal import Terminal, printable

WIDTH = 120  # where there is no terminal to ask


def results() -> Terminal:
    """stdout."""
    return _console(stderr=False)


def messages() -> Terminal:
    """stderr."""
    return _console(stderr=True)


def clean(value: object) -> str:
    """One line of printable text without markup."""
    return escape(printable(" ".join(str(value).split())))


def say(text: str) -> None:
    """One message on stderr; the text may hold anything."""
    messages().print(clean(text), highlight=False, soft_wrap=True)


def shown(text: str) -> None:
    """One line of a result on stdout; the text may hold anything."""
    results().print(clean(text), highlight=False, soft_wrap=True)


def complain(what: str, where: str, do: str) -> None:
    """An error in at most three lines."""
    console = messages()
    for name, style, text in (("error", "bold red", what), ("where", "bold", where), ("do", "bold", do)):
        if text:
            console.print(f"[{style}]{name}:[/] {clean(text)}", highlight=False, soft_wrap=True)


def emit(value: Any) -> None:
    """JSON on stdout, NaN and infinity as null."""
    results().file.write(json.dumps(_plain(value), indent=1, ensure_ascii=True) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "", right: Sequence[str] = ()) -> None:
    """A table on stdout; the columns in `right` are numbers. What does not fit is narrowed, or stands in parts."""
    console, numbers = results(), [name in right for name in columns]
    cells = [[clean(cell) for cell in row] for row in rows]
    texts = [list(columns), *([Text.from_markup(cell).plain for cell in row] for row in cells)]
    widths = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    if title:
        console.print(f"[bold]{clean(title)}[/]", highlight=False, overflow="fold")
    for part in parts(widths, numbers, console.width):
        drawn = Table(box=None, pad_edge=False, header_style="bold")
        for place, width in zip(part.columns, part.widths, strict=True):
            drawn.add_column(
                columns[place], justify="right" if numbers[place] else "left", overflow="fold", width=max(1, width)
            )
        for row in cells:
            drawn.add_row(*(row[place] for place in part.columns))
        console.print(drawn)
        console.print()


def number(value: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """.468, -.082 (or +.082), 53.5; nothing where there is no number."""
    return decimal(value, digits if value is None or abs(value) < 10 else 1, sign=sign)


def interval(lo: float, hi: float) -> str:
    """[.42, .51]."""
    return bracketed(lo, hi, number)


def p_value(p: float | None) -> str:
    """.031, or <.001."""
    return "<.001" if p is not None and p < 0.001 else number(p)


def _console(*, stderr: bool) -> Terminal:
    console = Terminal(stderr=stderr, emoji=False)
    said = os.environ.get("COLUMNS", "").isdigit()  # rich reads it
    return console if console.is_terminal or said else Terminal(stderr=stderr, emoji=False, width=WIDTH)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
