"""A quantity over RL steps, organism by column, informative rewards above and spurious ones below.

Step 0 is the base: the mean over base seeds, without an interval (runs of one base share it). From then on mean and
t interval over runs. What is said in the titles rests on each run's change from its own base at the last step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from probe.plots import Drawing, Rows
from probe.plots._captions import CLEAR, destroyed, intervals, join, replicates
from probe.plots._frame import finish, note, panels
from probe.plots._marks import DESTROYED, ONE_RUN, null_handle, null_line, plain_numbers, ribbon, thread
from probe.plots._replicates import RUN, Mean, Row, changes, last_step, mean_of, means, pick
from probe.plots._style import (
    DOUBLE,
    FAMILIES,
    INFORMATIVE,
    REWARDS,
    SMALL,
    Look,
    handles,
    look,
    ordered,
    reward_look,
)
from probe.plots._words import UNKNOWN, plain, sentence, signed

ROWS = ("informative", "spurious")
SAID, UNSAID = ("rises", "falls", "unmoved", "destroyed"), ("no clear change", UNKNOWN)


@dataclass(frozen=True)
class Quantity:
    """Which estimate is drawn: its name in the table, what it is called, and its axis."""

    name: str
    called: str
    axis: str
    limits: tuple[float, float] = (0.0, 1.0)


def main_setting(rows: Sequence[Row], columns: Sequence[str] = ("size", "clip")) -> tuple[list[Row], str]:
    """The rows of the setting with most rows, and a sentence on what was left out ("" where nothing was)."""
    counts: dict[tuple[Any, ...], int] = {}
    for row in rows:
        key = tuple(row.get(name) for name in columns)
        counts[key] = counts.get(key, 0) + 1
    if len(counts) < 2:
        return list(rows), ""
    best = max(counts, key=lambda key: (counts[key], str(key)))
    kept = [row for row in rows if tuple(row.get(name) for name in columns) == best]
    told = ", ".join(f"{name} {plain(value)}" for name, value in zip(columns, best, strict=True))
    return kept, f"Only {told} is drawn ({len(counts) - 1} other settings measured)."


def curves(rows: Rows, quantity: Quantity) -> Drawing | None:
    """The figure, or None where no run of the tiny study was measured."""
    chosen = pick(rows, name=quantity.name, study="tiny", kind="rl", temperature=1)
    chosen, left_out = main_setting(chosen)
    if not pick(chosen, side="after"):
        return None
    families = ordered((row["family"] for row in chosen), FAMILIES)
    kinds = [kind for kind in ROWS if any(_kind(row) == kind for row in chosen)]
    moved = changes(last_step(chosen, ("family", "reward")), ("family", "reward"))
    figure, axes = panels(len(kinds), len(families), width=DOUBLE, height=1.75, sharex=True, sharey=True)
    table: list[Row] = []
    for i, kind in enumerate(kinds):
        heads = [_shown([m for m in moved if m.key["family"] == f and _kind(m.key) == kind]) for f in families]
        for axis, family, head in zip(axes[i], families, heads, strict=True):
            here = [row for row in chosen if row["family"] == family and _kind(row) == kind]
            table += _panel(axis, here, quantity)
            axis.set_title("\n".join(head), fontsize=SMALL - 0.5, color="#333333", pad=3)
        axes[i, 0].set_ylabel(f"{quantity.axis}\n({kind} rewards)")
        if i == 0:
            _name_columns(axes[0], families, max(map(len, heads)))
    for axis in axes[-1]:
        axis.set_xlabel("RL batches")
    table += [row for mean in moved for row in mean.rows(name=quantity.name, side="change")]
    caption = _caption(moved, chosen, quantity, left_out)
    return finish(figure, _title(moved, quantity), caption, table, _legend(chosen))


def _legend(rows: list[Row]) -> list[Line2D]:
    rewards = ordered((row["reward"] for row in rows), REWARDS)
    broken = [DESTROYED] if any(row.get("destroyed") for row in rows) else []
    return [*handles([reward_look(name) for name in rewards]), null_handle("base"), ONE_RUN, *broken]


def _name_columns(axes: Sequence[Axes], families: list[str], lines: int) -> None:
    """The organism in bold over each column, above `lines` lines of title."""
    for axis, family in zip(axes, families, strict=True):
        spot = {"xycoords": "axes fraction", "xytext": (0, 4 + 8.5 * lines), "textcoords": "offset points"}
        axis.annotate(look(family, FAMILIES).label, (0, 1), weight="bold", fontsize=SMALL + 0.5, **spot)


def _kind(row: dict[str, Any]) -> str:
    return ROWS[0] if row.get("reward") in INFORMATIVE else ROWS[1]


def _panel(axes: Axes, rows: list[Row], quantity: Quantity) -> list[Row]:
    axes.set_ylim(quantity.limits[0] - 0.02, quantity.limits[1] + 0.02)
    plain_numbers(axes)
    if not rows:
        note(axes, "no run")
        return []
    start = mean_of({"family": rows[0]["family"]}, _bases(rows))
    null_line(axes, start.value)
    table = [{**start.key, "mark": "null", "name": quantity.name, "step": 0, "value": start.value}]
    for reward in ordered((row["reward"] for row in rows), REWARDS):
        table += _curve(axes, [row for row in rows if row["reward"] == reward], reward_look(reward))
    return table


def _curve(axes: Axes, rows: list[Row], style: Look) -> list[Row]:
    by = ("family", "reward", "name", "step")
    after = sorted(means(pick(rows, side="after"), by), key=lambda mean: mean.key["step"])
    bases = _bases(rows)
    if bases:
        told = mean_of({**after[0].key, "step": 0}, bases) if after else None
        after = [Mean(told.key, told.value, math.nan, math.nan, told.runs), *after] if told else after
    ribbon(axes, [mean.key["step"] for mean in after], after, style)
    for steps, runs in _threads(rows):
        thread(axes, steps, runs, style)
    return [row for mean in after for row in mean.rows()]


def _bases(rows: Sequence[Row]) -> list[Row]:
    """Each base once, at step 0, whichever runs it was measured for; never destroyed."""
    before = {(row.get("size"), row.get("base_seed")): row for row in pick(rows, side="before")}
    blank = {"rl_seed": None, "reward": None, "destroyed": False, "step": 0}
    return [{**row, **blank} for row in before.values()]


def _threads(rows: Sequence[Row]) -> list[tuple[list[float], list[Row]]]:
    """Per run: its steps and rows, from its own base on."""
    start = {(row.get("size"), row.get("base_seed")): row for row in _bases(rows)}
    runs: dict[tuple[Any, ...], list[Row]] = {}
    for row in sorted(pick(rows, side="after"), key=lambda row: row["step"]):
        key = tuple(row.get(name) for name in RUN)
        base = start.get((row.get("size"), row.get("base_seed")))
        runs.setdefault(key, [base] if base else []).append(row)
    return [([row["step"] for row in run], run) for run in runs.values()]


def _shown(moved: list[Mean]) -> list[str]:
    """What the intervals show of the change at the last step, in at most two lines."""
    parts = []
    for word in ("rises", "falls"):
        names = [f"{reward_look(m.key['reward']).label} {signed(m.value)}" for m in moved if m.verdict() == word]
        parts += [f"{word}: {', '.join(names)}"] if names else []
    others = [word for word in ("unmoved", "no clear change", UNKNOWN) if any(m.verdict() == word for m in moved)]
    return _fold("; ".join(parts) or ", ".join(others))


def _fold(text: str, width: int = 44) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines if len(lines) < 3 else [lines[0], f"{lines[1]} …"]


def _title(moved: list[Mean], quantity: Quantity) -> str:
    told = []
    for family in ordered((m.key["family"] for m in moved), FAMILIES):
        words = [m.verdict() for m in moved if m.key["family"] == family]
        said = [word for word in SAID if word in words] or [word for word in UNSAID if word in words]
        parts = ", ".join(f"{word} under {words.count(word)}" for word in said)
        told.append(f"{look(family, FAMILIES).label} {parts} of {len(words)}")
    return f"{sentence(quantity.called)}, rewards at the last batch: {'; '.join(told)}"


def _caption(moved: list[Mean], chosen: list[Row], quantity: Quantity, left_out: str) -> str:
    return join(
        f"{sentence(quantity.axis)} on held-out problems; dashed: mean of the bases (step 0, no interval).",
        replicates(moved),
        intervals(moved, "Ribbon"),
        destroyed(chosen),
        f"Above the panels, at the last batch, {CLEAR}",
        left_out,
    )
