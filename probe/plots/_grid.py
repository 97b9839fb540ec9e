"""One dot and interval per reward: rewards down, quantities across, organisms below one another.

Each column has its own x axis and null; the rewards keep their places, so that a row reads across.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from probe.measurements import Row
from probe.plots import Drawing
from probe.plots._captions import CORRECTED, of_runs
from probe.plots._frame import finish, panels
from probe.plots._marks import bar, destroyed_key, dots, null_handle, null_line, plain_numbers
from probe.plots._replicates import Mean, families_of, runs_of
from probe.plots._style import DOUBLE, FAMILIES, GREY, REWARDS, SMALL, look, ordered, reward_look

DRAWN = "accuracy gained (last batch, T = 1): an account, not an effect"


@dataclass(frozen=True)
class Column:
    """One quantity: its title, its axis, where nothing happened (None: see `nulls`), its means by reward.

    `before` are drawn hollow beside them; `nulls` are short grey strokes, one per mean, where each has its own null.
    `shared` stands in every row of the table.
    """

    title: str
    axis: str
    null: float | None
    means: Sequence[Mean]
    before: Sequence[Mean] = ()
    nulls: Sequence[Mean] = ()
    shared: dict[str, Any] = field(default_factory=dict)


def grid(columns: Sequence[Column], families: Sequence[str], *, sharex: bool | str = "col") -> tuple[Figure, list[Row]]:
    """The figure without title and caption, and the table of what is drawn. Means are keyed by family and reward."""
    rewards = ordered((mean.key["reward"] for column in columns for mean in column.means), REWARDS)
    height = 0.34 + 0.17 * len(rewards)
    figure, axes = panels(len(families), len(columns), width=DOUBLE, height=height, sharex=sharex, sharey=True)
    table: list[Row] = []
    for i, family in enumerate(families):
        for j, column in enumerate(columns):
            table += _cell(axes[i, j], column, family, rewards)
            axes[i, j].set_title(column.title if i == 0 else "", loc="left")
            axes[i, j].set_xlabel(column.axis if i == len(families) - 1 else "")
        axes[i, 0].set_ylim(len(rewards) - 0.4, -0.6)
        axes[i, 0].set_yticks(range(len(rewards)), [reward_look(name).label for name in rewards])
        axes[i, 0].set_ylabel(look(family, FAMILIES).label, weight="bold", fontsize=SMALL + 0.5)
    return figure, table


def _cell(axes: Axes, column: Column, family: str, rewards: list[str]) -> list[Row]:
    table: list[Row] = []
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    plain_numbers(axes, x=True, y=False)
    axes.grid(axis="y", color="#eeeeee", linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    if column.null is not None:
        null_line(axes, column.null, upright=True)
        table.append({"mark": "null", "family": family, "value": column.null, **column.shared})
    shift = 0.16 if column.before else 0.0
    for mean in (m for m in column.before if m.key["family"] == family):
        place, style = rewards.index(mean.key["reward"]) - shift, reward_look(mean.key["reward"])
        bar(axes, place, mean.estimate, style, flat=True, hollow=True)
        table.append(mean.rows(**column.shared, side="before")[0])
    for mean in (m for m in column.means if m.key["family"] == family):
        dots(axes, rewards.index(mean.key["reward"]) + shift, mean, reward_look(mean.key["reward"]), flat=True)
        table += mean.rows(**column.shared)
    for mean in (m for m in column.nulls if m.key["family"] == family):
        row = rewards.index(mean.key["reward"])
        axes.plot([mean.value] * 2, [row - 0.42, row + 0.42], color=GREY, linewidth=1.2, zorder=1)
        table.append({**mean.key, **column.shared, "mark": "null", "value": mean.value})
    return table


def parts(means: Sequence[Mean], by: str, titles: dict[str, str], axis: str, words: tuple[str, str]) -> Drawing:
    """The parts that add up to a gain, a column for each; `words`: the title, and what is left out."""
    columns = []
    for part, name in titles.items():
        shared = {"name": means[0].runs[0]["name"], by: part, "side": "change"}
        mine = [mean for mean in means if mean.key[by] == part]
        columns += [Column(name, axis, 0.0, mine, shared=shared)] if mine else []
    figure, table = grid(columns, families_of(means), sharex=True)
    title, left_out = words
    legend = [null_handle("no gain"), *destroyed_key(runs_of(means))]
    return finish(figure, title, of_runs(DRAWN, means, "bars", "no gain", CORRECTED, left_out), table, legend)


def largest(means: Sequence[Mean], by: str, reward: str) -> Mean | None:
    """The part that adds most under a reward, where its interval excludes 0."""
    mine = [mean for mean in means if mean.key["reward"] == reward and mean.key[by] != "total"]
    best = max(mine, key=lambda mean: mean.value, default=None)
    return best if best is not None and best.verdict() == "rises" else None
