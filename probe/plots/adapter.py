"""Which share of RL's change do a few latents beside the MLPs of the base recover, by how many are active at once?

A row a way of training. Left: of the nats to the model after RL, on its own texts and on the base's; right: of its
change of the code share and of accuracy when the base writes with its adapters. In the same panels what should recover
less: a random decoder that is frozen, the same directions drawn at random, adapters of a random change as large as RL's
in nats; and how much of that change its own adapters recover. What lies below the axis is an arrow at its edge.
"""

from collections.abc import Sequence
from statistics import fmean

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption, counts, not_drawn, replicated
from probe.plots._features import Cell, cells
from probe.plots._frame import finish, head, note, panels
from probe.plots._marks import DOTS, bar, key, null_handle, null_line, plain_numbers
from probe.plots._pairs import in_table, over_seeds
from probe.plots._replicates import pick
from probe.plots._style import DOUBLE, GREY, Look, styled
from probe.plots._words import span

PARTS = {
    "rl": Look("#0072B2", "o", "-", "trained on RL's change"),
    "frozen decoder": Look("#E69F00", "^", "--", "the same, random decoder frozen (null)"),
    "walk's": Look("#D55E00", "D", "-.", "trained on a random change (null)"),
    "untrained": Look(GREY, "s", ":", "random, untrained (null)"),
    "itself": Look("#CC79A7", "P", "", "trained on the base itself (null)"),
    "walk": Look("#009E73", "X", (0, (1, 1)), "a random change of as many nats, by its own"),
}
PANELS = (
    ("adapter_recovered", "after", "nats, on texts of the model after RL"),
    ("adapter_recovered", "before", "nats, on texts of the base"),
    ("adapter_recovered_code_share", None, "code share of answers"),
    ("adapter_recovered_accuracy", None, "accuracy of answers"),
)
MOST = 3  # ways of training
LOW, HIGH = -1.0, 1.25  # of the axis
ASIDE = 0.05  # how far a comparison is moved from the one beside it, of its place
TICKS = (0, 1, 4, 16, 64, 256, 1024, 4096)


@figures.register("adapter")
@styled
def adapter(rows: Rows) -> Drawing | None:
    """None where no adapters were trained."""
    found = [cell for cell in cells(rows, ("adapter_",)) if pick(cell.rows, name="adapter_recovered", part="rl")]
    if not found:
        return None
    shown = found[:MOST]
    figure, axes = panels(len(shown), len(PANELS), width=DOUBLE, height=1.7, sharex=True, sharey=True)
    table: list[Row] = [{"mark": "null", "value": 0.0}, {"mark": "all", "value": 1.0}, {"mark": "edge", "value": LOW}]
    for i, cell in enumerate(shown):
        for j, (name, group, words) in enumerate(PANELS):
            table += _panel(axes[i, j], cell, name, group)
            head(axes[0, j], words)
            axes[-1, j].set_xlabel("active latents\na token and MLP (L0)")
        axes[i, 0].set_ylabel(f"{cell.lines(1.4)}\nshare of the change")
    _scale(axes[0, 0], max(row["value"] for cell in shown for row in pick(cell.rows, name="adapter_l0")))
    there = {row["part"] for cell in shown for row in pick(cell.rows, name="adapter_recovered")}
    legend: list[Artist] = [look.handle() for part, look in PARTS.items() if part in there]
    legend += [null_handle("nothing recovered"), key("all of it", linestyle=DOTS, linewidth=0.9)]
    if any(row["mark"] == "below" for row in table):
        legend.append(key("below the axis", "v", markerfacecolor="white"))
    return finish(figure, _title(shown), _caption(found, table), table, legend)


def _scale(axes: Axes, most: float) -> None:
    """Shared by all panels: 0, then by factors."""
    axes.set_ylim(LOW, HIGH)
    axes.set_xscale("symlog", base=4, linthresh=1)
    ticks = [tick for tick in TICKS if tick <= 1.5 * most]
    axes.set_xlim(-0.3, max(1.8 * most, 2.0))
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()


def _panel(axes: Axes, cell: Cell, name: str, group: str | None) -> list[Row]:
    null_line(axes, 0.0)
    axes.axhline(1.0, color=GREY, linestyle=DOTS, linewidth=0.9, zorder=0)
    plain_numbers(axes)
    mine = pick(cell.rows, name=name, group=group)
    if not mine:
        note(axes, "no change to share out")
    table: list[Row] = []
    for place, (part, look) in enumerate(PARTS.items()):
        table += _line(axes, cell, [row for row in mine if row["part"] == part], look, place)
    return table


def _line(axes: Axes, cell: Cell, rows: Sequence[Row], look: Look, place: int) -> list[Row]:
    """One comparison: a mark with its interval at every budget, where its adapters were so active."""
    table: list[Row] = []
    points: list[tuple[float, float]] = []
    for k in sorted({row["k"] for row in rows}):
        mean, at = over_seeds([row for row in rows if row["k"] == k]), active(cell, rows[0]["part"], k)
        x = at * (1 + ASIDE * (place - 1)) if at else ASIDE * (place - 1)
        table += in_table(mean, "share" if rows[0]["part"] in ("rl", "walk") else "null share", seeds=False)
        table.append({"mark": "place", "name": "adapter_l0", "part": rows[0]["part"], "k": k, "value": at})
        points.append((x, mean.value))
        if mean.value >= LOW:
            bar(axes, x, mean.estimate, look)
        else:
            axes.plot([x], [LOW], "v", color="white", markeredgecolor=look.colour, markersize=5, clip_on=False)
            table.append({"mark": "below", "part": rows[0]["part"], "k": k, "value": mean.value})
    if points:
        axes.plot(*zip(*points, strict=True), color=look.colour, linestyle=look.line or "", linewidth=0.8, zorder=2)
    return table


def active(cell: Cell, part: str, k: int) -> float:
    """Active latents a token and MLP of those adapters, on the texts of the model after RL."""
    own = "walk's" if part == "walk" else part
    rows = [row for row in pick(cell.rows, name="adapter_l0", part=own, k=k, group="after") if row["site"] is None]
    return fmean(row["value"] for row in rows)


def _title(shown: Sequence[Cell]) -> str:
    """What is shown, not what was found."""
    whose = shown[0].name if len(shown) == 1 else f"{len(shown)} ways of training"
    return f"Share of RL's change that latents beside the MLPs of the base recover, by how many are active ({whose})"


def _caption(found: Sequence[Cell], table: Sequence[Row]) -> str:
    own = [row for cell in found for row in pick(cell.rows, name="adapter_recovered", part="rl")]
    n = f"{span(counts(own, 'n'), 'token')} of {span(counts(own, 'n_problems'), 'problem')} that trained nothing"
    hidden = not_drawn(len(found[MOST:]), "way of training")
    return caption("", n, replicated(table, "bars"), "adapters so marked", hidden)
