"""Which explanation accounts for a change in accuracy, alone and in common with others? One row of bars a pair.

Per explanation: dark what it accounts for alone, light what it shares with others, and the interval of both together;
the line is the whole change, dashed is nothing (null). A mark says supported, excluded or undecided. Label leakage (H5)
has no amount and is not drawn.
"""

from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import PROBLEMS, caption, counts, not_drawn
from probe.plots._frame import finish, head, panels
from probe.plots._marks import key, null_handle, null_line, plain_numbers
from probe.plots._pairs import PAIR, pair_name
from probe.plots._replicates import columns_of, limits, pick
from probe.plots._style import COLUMN, styled
from probe.plots._words import interval, listing, plain, signed, span

EXPLANATIONS = {
    "strategy": "strategy mix",
    "sharpening": "sharpening",
    "leak": "contamination",
    "prompt": "prompt, format",
    "acquired": "acquisition, loss",
}
ALONE, COMMON, CHANGE = "#0072B2", "#9CC9E3", "#D55E00"
MARKS = {1.0: ("supported", "o", ALONE), 0.0: ("excluded", "x", "#767676"), None: ("undecided", "d", "white")}
MOST = 4  # pairs that fit below each other
KEPT = (*PAIR, "name", "side", "part", "value", "lo", "hi", "n", "n_problems", "null", "p")


@figures.register("verdict")
@styled
def verdict(rows: Rows) -> Drawing | None:
    """The first pairs at the highest temperature each; None without amounts."""
    every = _pairs(rows)
    shown = every[:MOST]
    if not shown:
        return None
    figure, axes = panels(len(shown), 1, width=COLUMN, height=1.5)
    table: list[Row] = []
    for axis, mine in zip(axes[:, 0], shown, strict=True):
        table += _bars(axis, mine)
        head(axis, pair_name(mine[0]))
    axes[-1, 0].set_xlabel("change in accuracy")
    text = caption(_drawn(shown), _n(shown), PROBLEMS, "0", not_drawn(len(every) - len(shown)))
    return finish(figure, "; ".join(map(_said, shown)), text, table, _legend())


def _pairs(rows: Rows) -> list[list[Row]]:
    """The rows of each pair with amounts and a change, at its highest temperature."""
    mine = [row for row in rows if str(row.get("name")).startswith("explained_")]
    warmest: dict[tuple[object, ...], list[Row]] = {}
    for row in sorted(mine, key=lambda row: -float(row.get("temperature") or 0)):
        pair = tuple(row.get(name) for name in PAIR if name != "temperature")
        held = warmest.setdefault(pair, [])
        if not held or held[0]["temperature"] == row["temperature"]:
            held.append(row)
    return [held for held in warmest.values() if _of(held, "change") and pick(held, name="explained_total")]


def _of(rows: Sequence[Row], name: str, part: str | None = None) -> Row | None:
    found = pick(rows, name=f"explained_{name}", side="change", part=part)
    return found[0] if found else None


def _bars(axes: Axes, rows: Sequence[Row]) -> list[Row]:
    """One pair: a line of bars an explanation, the change as an upright line."""
    change = _of(rows, "change")
    assert change is not None
    axes.axvline(change["value"], color=CHANGE, linewidth=1.2, zorder=2)
    null_line(axes, 0.0, upright=True)
    table = [columns_of(change, KEPT, mark="change"), {"mark": "null", "value": 0.0}]
    for place, part in enumerate(EXPLANATIONS):
        own, whole = _of(rows, "alone", part), _of(rows, "total", part)
        if own is None or whole is None:
            continue
        axes.barh(place, own["value"], height=0.5, color=ALONE, linewidth=0, zorder=1)
        axes.barh(
            place, whole["value"] - own["value"], left=own["value"], height=0.5, color=COMMON, linewidth=0, zorder=1
        )
        lo, hi = limits(whole)
        if lo == lo and hi == hi:
            axes.plot((lo, hi), (place, place), color="black", linewidth=0.9, zorder=3)
        name, marker, face = MARKS[_standing(rows, part)]
        drawn: dict[str, Any] = {"markersize": 4.2, "markeredgecolor": "black", "markeredgewidth": 0.8, "zorder": 4}
        axes.plot(whole["value"], place, marker, color=face, **drawn)
        table.append(columns_of(own, KEPT, mark="alone"))
        table.append(columns_of(whole, KEPT, mark="in all", verdict=name))
    axes.set_yticks(range(len(EXPLANATIONS)), list(EXPLANATIONS.values()))
    axes.set_ylim(len(EXPLANATIONS) - 0.5, -0.5)
    plain_numbers(axes, x=True, y=False)
    return table


def _standing(rows: Sequence[Row], part: str) -> float | None:
    found = pick(rows, name="explained_verdict", part=part)
    return found[0]["value"] if found else None


def _said(rows: Sequence[Row]) -> str:
    """What explains the change of one pair."""
    change = _of(rows, "change")
    assert change is not None
    name = plain(rows[0].get("reward") or rows[0].get("family"), 26)
    size = f"{signed(change['value'])} {interval(*limits(change))}"
    if any(row.get("destroyed") for row in rows):
        return f"{name}: destroyed"
    if not pick(rows, name="explained_state", value=1.0):
        return f"{name}: no clear change {size}"
    found = [words for part, words in EXPLANATIONS.items() if _standing(rows, part) == 1.0]
    return f"{name} {size}: {listing(found)}" if found else f"{name} {size}: undecided"


def _drawn(shown: Sequence[Sequence[Row]]) -> str:
    temperatures = sorted({float(rows[0].get("temperature") or 0) for rows in shown})
    return listing(f"T = {each:g}" if each else "greedy" for each in temperatures)


def _n(shown: Sequence[Sequence[Row]]) -> str:
    changes = [row for rows in shown for row in pick(rows, name="explained_change")]
    return f"{span(counts(changes, 'n'), 'response')} to {span(counts(changes, 'n_problems'), 'problem')} a pair"


def _legend() -> list[Artist]:
    bars: list[Artist] = [Patch(color=ALONE, label="alone"), Patch(color=COMMON, label="in common")]
    drawn = {"markeredgecolor": "black", "markeredgewidth": 0.8}
    marks = [key(name, marker, color=face, **drawn) for name, marker, face in MARKS.values()]
    return [*bars, key("whole change", linestyle="-", color=CHANGE), null_handle("nothing (null)"), *marks]
