"""A quantity over RL steps, organism by column, informative rewards above and spurious ones below.

Step 0 is the base: the mean over base seeds, without an interval (runs of one base share it). From then on mean and
t interval over runs. What is said in the titles rests on each run's change from its own base at the last step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from probe.measurements import Row, Rows
from probe.plots import Drawing
from probe.plots._captions import CLEAR, destroyed, intervals, join, replicates
from probe.plots._designs import by_reward
from probe.plots._frame import finish, head, name_columns, note, panels
from probe.plots._marks import DESTROYED, ONE_RUN, null_handle, null_line, plain_numbers, ribbon, thread
from probe.plots._replicates import Mean, base_mean, by_run, changes, each_base, last_step, means, pick, trained
from probe.plots._style import (
    DOUBLE,
    FAMILIES,
    REWARDS,
    Look,
    handles,
    look,
    ordered,
    reward_look,
)
from probe.plots._words import UNKNOWN, plain, sentence, signed, span

ROWS = ("informative", "spurious")
BY = ("family", "reward", "name", "step")
SAID, UNSAID = ("rises", "falls", "unmoved", "destroyed", "partly destroyed"), ("no clear change", UNKNOWN)


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
    """The figure, or None where no organism was trained to compare rewards."""
    chosen = by_reward(trained(rows, name=quantity.name, temperature=1))
    chosen, left_out = main_setting(chosen)
    if not pick(chosen, side="after"):
        return None
    families = ordered((row["family"] for row in chosen), FAMILIES)
    kinds = [kind for kind in ROWS if any(_kind(row) == kind for row in chosen)]
    moved = changes(last_step(chosen, ("family", "reward")), ("family", "reward"))
    figure, axes = panels(len(kinds), len(families), width=DOUBLE, height=1.75, sharex=True, sharey=True)
    table: list[Row] = []
    for i, kind in enumerate(kinds):
        heads = [_shown([m for m in moved if m.key["family"] == f and _kind(m.runs[0]) == kind]) for f in families]
        for axis, family, told in zip(axes[i], families, heads, strict=True):
            here = [row for row in chosen if row["family"] == family and _kind(row) == kind]
            table += _panel(axis, here, quantity)
            head(axis, told)
        axes[i, 0].set_ylabel(f"{quantity.axis}\n({kind} rewards)")
        if i == 0:
            name_columns(axes[0], [look(name, FAMILIES).label for name in families])
    for axis in axes[-1]:
        axis.set_xlabel("RL batches")
    table += [row for mean in moved for row in mean.rows(name=quantity.name, side="change")]
    caption = _caption(moved, chosen, quantity, left_out)
    return finish(figure, _title(moved, quantity), caption, table, _legend(chosen))


def _legend(rows: list[Row]) -> list[Line2D]:
    rewards = ordered((row["reward"] for row in rows), REWARDS)
    broken = [DESTROYED] if any(row.get("destroyed") for row in rows) else []
    return [*handles([reward_look(name) for name in rewards]), null_handle("base"), ONE_RUN, *broken]


def _kind(row: dict[str, Any]) -> str:
    return ROWS[0] if row.get("informative") else ROWS[1]


def _panel(axes: Axes, rows: list[Row], quantity: Quantity) -> list[Row]:
    axes.set_ylim(quantity.limits[0] - 0.02, quantity.limits[1] + 0.02)
    plain_numbers(axes)
    if not rows:
        note(axes, "no run")
        return []
    base = base_mean({"family": rows[0]["family"], "name": quantity.name, "step": 0}, rows)
    table: list[Row] = []
    if base is not None:
        null_line(axes, base.value)
        table = [{**base.key, "mark": "null", "value": base.value}]
    for reward in ordered((row["reward"] for row in rows), REWARDS):
        table += _curve(axes, [row for row in rows if row["reward"] == reward], reward_look(reward))
    return table


def _curve(axes: Axes, rows: list[Row], style: Look) -> list[Row]:
    """One reward: mean and ribbon from the base on, each run a thread."""
    after = sorted(means(pick(rows, side="after"), BY), key=lambda mean: mean.key["step"])
    if not after:
        return []
    starts = {row.get("base_seed"): row for row in each_base(rows)}
    for run in by_run(after):
        start = starts.get(run[0].get("base_seed"))
        line = [start, *run] if start else run
        thread(axes, [row["step"] for row in line], line, style)
    base = base_mean({**after[0].key, "step": 0}, rows)
    points = [base, *after] if base else after
    ribbon(axes, [mean.key["step"] for mean in points], points, style)
    return [row for mean in points for row in mean.rows()]


def _shown(moved: list[Mean]) -> str:
    """What the intervals show of the change at the last step."""
    parts = []
    for word in ("rises", "falls", "destroyed", "partly destroyed"):
        sizes = [signed(m.value) if word in ("rises", "falls") else "" for m in moved]
        names = [f"{reward_look(m.key['reward']).label} {size}".strip() for m, size in zip(moved, sizes, strict=True)]
        held = [name for name, m in zip(names, moved, strict=True) if m.verdict() == word]
        parts += [f"{word}: {', '.join(held)}"] if held else []
    others = [word for word in ("unmoved", *UNSAID) if any(m.verdict() == word for m in moved if not m.is_null)]
    return "; ".join(parts) or ", ".join(others)


def _title(moved: list[Mean], quantity: Quantity) -> str:
    told = []
    moved = [mean for mean in moved if not mean.is_null]
    counts = {m.key["family"]: sum(other.key["family"] == m.key["family"] for other in moved) for m in moved}
    for family in ordered(counts, FAMILIES):
        words = [m.verdict() for m in moved if m.key["family"] == family]
        said = [word for word in SAID if word in words] or [word for word in UNSAID if word in words]
        parts = ", ".join(f"{word} under {words.count(word)}" for word in said)
        told.append(f"{look(family, FAMILIES).label} {parts}")
    return f"{sentence(quantity.called)} under {span(list(counts.values()), 'reward')}: {'; '.join(told)}"


def _caption(moved: list[Mean], chosen: list[Row], quantity: Quantity, left_out: str) -> str:
    return join(
        f"{sentence(quantity.axis)} on held-out problems; dashed: mean of the bases (step 0, no interval).",
        replicates(moved, rows=pick(chosen, side="after")),
        intervals(moved, "Ribbon"),
        destroyed(chosen),
        f"Above the panels, at the last batch, {CLEAR}",
        left_out,
    )
