"""How few latents do what RL did to the share of code, and how few undo it?

A row a way of training. Left: the base with its first so many latents turned as RL turned the code share; right: the
model after RL with them turned back. A line a base: share of RL's change at every size that was tried, on the half of
the problems that chose; marks, with intervals, what the smallest set with .8 of it does on the other half.
"""

from collections.abc import Sequence
from math import isfinite
from statistics import median

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption, counts
from probe.plots._features import MOST, Cell, cells, left_out
from probe.plots._frame import finish, head, name_columns, note, panels
from probe.plots._marks import DOTS, bar, key, null_handle, null_line, plain_numbers
from probe.plots._replicates import columns_of, estimate, pick
from probe.plots._style import DOUBLE, GREY, Look, styled
from probe.plots._words import number, span

SIDES = {"before": "does what RL did, in the base", "after": "undoes it, after RL"}
SIDE = {"before": Look("#0072B2", "o"), "after": Look("#D55E00", "D")}
ENOUGH = 0.8
LOW, HIGH = -0.5, 2.0  # of the axis: shares beyond are drawn at its edge
COLUMNS = (
    "family",
    "size",
    "base_seed",
    "reward",
    "rl_seed",
    "name",
    "side",
    "k",
    "value",
    "lo",
    "hi",
    "n",
    "n_problems",
)


@figures.register("minimal_sets")
@styled
def minimal_sets(rows: Rows) -> Drawing | None:
    """None where no set was searched for."""
    found = [cell for cell in cells(rows, ("minimal_set",)) if pick(cell.rows, name="minimal_set_curve")]
    if not found:
        return None
    shown = found[:MOST]
    figure, axes = panels(len(shown), 2, width=DOUBLE, height=1.35, sharex=True, sharey=True)
    table: list[Row] = [{"mark": "null", "value": value} for value in (0.0, ENOUGH)]
    for i, cell in enumerate(shown):
        for j, side in enumerate(SIDES):
            table += _panel(axes[i, j], cell, side)
            head(axes[i, j], _found(cell, side))
            axes[-1, j].set_xlabel("latents turned, best first")
        axes[i, 0].set_ylabel(f"{cell.lines(1.2)}\nshare of RL's change")
    name_columns(axes[0], list(SIDES.values()))
    legend: list[Artist] = [key("a base, on the half that chose", linestyle="-", linewidth=0.9)]
    legend += [key("its smallest set, on the other half", "o"), null_handle("nothing")]
    legend.append(key(f"{number(ENOUGH)} of RL's change", linestyle=DOTS, linewidth=0.9))
    return finish(figure, _title(found), _caption(found), table, legend)


def _panel(axes: Axes, cell: Cell, side: str) -> list[Row]:
    null_line(axes, 0.0)
    axes.axhline(ENOUGH, color=GREY, linestyle=DOTS, linewidth=0.9, zorder=0)
    axes.set_xscale("symlog", base=2, linthresh=1)
    axes.set_ylim(LOW, HIGH)
    axes.set_xticks([0, 1, 2, 4, 8, 16, 32], ["0", "1", "2", "4", "8", "16", "32"])
    axes.minorticks_off()
    plain_numbers(axes)
    curve = pick(cell.rows, name="minimal_set_curve", side=side)
    if not curve:
        note(axes, "no change to share out")
    table = [columns_of(row, COLUMNS, mark="curve") for row in curve]
    for base in sorted({(row["base_seed"], row["rl_seed"]) for row in curve}):
        mine = sorted((r["k"], r["value"]) for r in curve if (r["base_seed"], r["rl_seed"]) == base)
        axes.plot(*zip(*mine, strict=True), color=SIDE[side].colour, linewidth=0.9, alpha=0.7)
    for row in pick(cell.rows, name="minimal_set_share", side=side):
        bar(axes, row["k"], estimate(row), SIDE[side])
        table.append(columns_of(row, COLUMNS, mark="told"))
    return table


def found_of(cell: Cell, side: str) -> tuple[list[int], int]:
    """The sizes of the sets found, and of how many pairs."""
    rows = cell.pick(name="minimal_set", side=side)
    known = [int(row["value"]) for row in rows if row["value"] is not None and isfinite(row["value"])]
    return sorted(known), len(rows)


def _found(cell: Cell, side: str) -> str:
    sizes, n = found_of(cell, side)
    return f"in {len(sizes)} of {n} pairs" + (f", {median(sizes):g} latents (median)" if sizes else "")


def _title(found: Sequence[Cell]) -> str:
    """Over all pairs."""
    said = []
    for side, verb in (("before", "bring .8 of it to the base"), ("after", "taken back, undo it")):
        each = [found_of(cell, side) for cell in found]
        sizes, n = [size for known, _ in each for size in known], sum(n for _, n in each)
        how = f", {median(sizes):g} of them (median)" if sizes else ""
        said.append(f"{verb} in {len(sizes)} of {n} pairs{how}")
    return f"RL's change of the code share: the latents that best tell code {'; '.join(said)}"


def _caption(found: Sequence[Cell]) -> str:
    told = [row for cell in found for row in cell.rows if row["name"].startswith("minimal_set")]
    curve = [row for row in told if row["name"] == "minimal_set_curve"]
    bases = span([len({(row["family"], row["base_seed"]) for row in told})], "base seed")
    n = f"{bases}, {span(counts(curve, 'n_problems'), 'problem')} a half"
    return caption(
        n, "sets are prefixes of the ranking", "bars: 95 % Fieller interval over problems", "0", left_out(found)
    )
