"""One text under two models as a still figure: each token on a shade, forks underlined. For papers.

    above   shaded by the value under before        below   the same text, under after
    line    below a token: a fork of that model (one of the 20 % where it is least sure)

KL has one value a token, and is drawn once. Shades go from 0 to the largest value drawn, so both texts share a scale.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from probe.data import SIDES
from probe.errors import BadInput
from probe.plots import Drawing
from probe.plots._captions import caption
from probe.plots._frame import finish, head, panels
from probe.plots._style import DOUBLE, in_style
from probe.plots._words import plain, span

Colour = Literal["kl", "entropy", "surprise", "rank"]
WORDS = {"kl": "KL(before || after)", "entropy": "entropy", "surprise": "−log p", "rank": "rank"}
UNITS = {"kl": "nats", "entropy": "nats", "surprise": "nats", "rank": "0: first choice"}
COLUMNS, LINE = 120, 0.17  # letters of a line; inches between lines
MOST = 1200  # tokens that are drawn
SIZE = 6.5  # points
SHADE = "#E69F00"


def strip(table: pa.Table, names: Sequence[str], colour: Colour = "kl") -> Drawing:
    """The figure of one text's PAIRED rows; `names` of the two models. BadInput where there is nothing to draw."""
    if colour not in WORDS:
        raise BadInput(f"there is no colour {colour!r}", where="strip", do=f"one of {', '.join(WORDS)}")
    if not table.num_rows:
        raise BadInput("a text without tokens", where="strip", do="choose another text")
    rows = table.slice(0, MOST).to_pylist()
    sides = ("after",) if colour == "kl" else SIDES
    values = {side: np.array([_value(row, side, colour) for row in rows]) for side in sides}
    top = max(float(each.max()) for each in values.values()) or 1.0
    places = list(_places([_drawable(row["piece"]) for row in rows]))
    lines = 1 + max(line for _, line, _, _ in places)
    with in_style():
        figure, axes = panels(len(sides), 1, width=DOUBLE, height=LINE * (lines + 1) + 0.2)
        drawn: list[dict[str, Any]] = []
        for axis, side in zip(axes[:, 0], sides, strict=True):
            _draw(axis, places, values[side] / top, [row[f"fork_{side}"] for row in rows], lines)
            about = WORDS[colour] if colour == "kl" else f"{WORDS[colour]} under {plain(names[SIDES.index(side)], 60)}"
            head(axis, about)
            drawn += [
                {"mark": "token", "side": side, "token": row["pos"], "piece": row["piece"], "value": float(value)}
                for row, value in zip(rows, values[side], strict=True)
            ]
        title = f"{plain(names[0], 40)} and {plain(names[1], 40)} on one text"
        more = f"the first {MOST} of {table.num_rows}" if table.num_rows > MOST else ""
        said = caption(
            f"{span([len(rows)], 'token')}", f"shade: 0 to {top:.2g} ({UNITS[colour]})", "underlined: forks", "", more
        )
        return finish(figure, title, said, drawn)


def _value(row: dict[str, Any], side: str, colour: Colour) -> float:
    if colour == "kl":
        return float(row["kl"])
    if colour == "surprise":
        return float(-row[f"logprob_{side}"])
    return float(row[f"{colour}_{side}"])


def _drawable(piece: str) -> str:
    """As one line: ends of lines as a sign, what has no glyph as "?"."""
    kept = "".join(char if char in " \n" else plain(char) for char in piece.replace("\t", " "))
    return kept.replace("\n", "↵") or "·"


def _places(pieces: Sequence[str]) -> Iterator[tuple[int, int, int, str]]:
    """(token, line, first letter, text) of each part of a token: a line ends behind ↵, and where no more fits."""
    line, column = 0, 0
    for token, piece in enumerate(pieces):
        for text in re.findall(f"[^↵]{{0,{COLUMNS - 1}}}↵|[^↵]{{1,{COLUMNS}}}", piece):
            if column + len(text) > COLUMNS:
                line, column = line + 1, 0
            yield token, line, column, text
            column += len(text)
            if text.endswith("↵"):
                line, column = line + 1, 0


def _draw(
    axes: Axes, places: Sequence[tuple[int, int, int, str]], shares: np.ndarray, forks: Sequence[bool], lines: int
) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, COLUMNS)
    axes.set_ylim(lines, -0.2)
    for token, line, column, text in places:
        shade = (SHADE, float(shares[token]))
        axes.add_patch(Rectangle((column, line + 0.08), len(text), 0.84, linewidth=0, facecolor=shade))
        for i, letter in enumerate(text):  # each in its column, whatever the font's own width
            axes.text(
                column + i + 0.5, line + 0.5, letter, size=SIZE, ha="center", va="center", family="DejaVu Sans Mono"
            )
        if forks[token]:
            axes.plot((column + 0.1, column + len(text) - 0.1), (line + 0.96,) * 2, color="black", linewidth=0.9)
