"""Has one side of a pair latents that the other lacks, beyond what dictionaries find where nothing is new?

Left: share of live latents by relative norm (0: before alone, 1: after alone), the pair's dictionary and every null of
it in one panel, means over bases. Right: exclusive latents that latent scaling leaves, by comparison. What counts is
the excess over the largest null of the same base.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, _pairs, figures
from probe.plots._captions import CORRECTED, caption, counts, replicated
from probe.plots._features import MOST, Cell, cells, left_out, surviving
from probe.plots._frame import finish, head, panels
from probe.plots._marks import null_handle, null_line, plain_numbers, seed_marks
from probe.plots._pairs import in_table, over_seeds
from probe.plots._replicates import Mean, limits, mean_of, pick
from probe.plots._style import DOUBLE, Look, styled
from probe.plots._words import interval, listing, number, signed, span

PARTS = {
    "rl": Look("#0072B2", "o", "-", "before and after RL"),
    "other run": Look("#56B4E9", "^", "--", "another run"),
    "walk": Look("#333333", "s", "-.", "random walk (null)"),
    "itself": Look("#767676", "D", ":", "base and itself (null)"),
    "halves": Look("#B0B0B0", "v", (0, (5, 1)), "halves of the problems (null)"),
}
NULLS = ("walk", "itself", "halves")
TOLD = 3  # that fit a title
SIDES = {"before": "before alone", "after": "after alone"}


@figures.register("exclusive_latents")
@styled
def exclusive_latents(rows: Rows) -> Drawing | None:
    """A row of panels a way of training; None where no dictionaries were compared."""
    found = [cell for cell in cells(rows, ("exclusive_", "relative_norm")) if pick(cell.rows, name="exclusive_latents")]
    if not found:
        return None
    shown = found[:MOST]
    figure, axes = panels(len(shown), 3, width=DOUBLE, height=1.15, sharex="col")
    table: list[Row] = [{"mark": "null", "name": "exclusive_latents", "value": 0.0}]
    for i, cell in enumerate(shown):
        table += _norms(axes[i, 0], cell)
        for j, side in enumerate(SIDES, start=1):
            table += _rates(axes[i, j], cell, side)
        axes[i, 0].set_ylabel(f"{cell.lines(1.1)}\nshare of latents")
    head(axes[0, 0], "relative norm of decoder directions")
    for j, words in enumerate(SIDES.values(), start=1):
        head(axes[0, j], f"genuinely {words}")
        axes[-1, j].set_xlabel("of live latents (fraction)")
    axes[-1, 0].set_xlabel("0 before alone … 1 after alone")
    title, excess = _title(found)
    legend: list[Artist] = [*(each.handle() for each in PARTS.values()), null_handle("none")]
    return finish(figure, title, _caption(shown, table, left_out(found)), [*table, *excess], legend)


def _norms(axes: Axes, cell: Cell) -> list[Row]:
    """A line a comparison; the pair's own in front."""
    table: list[Row] = []
    for name, style in PARTS.items():
        mine = pick(cell.rows, name="relative_norm", part=name)
        bins = sorted({row["bin"] for row in mine})
        means = [over_seeds([row for row in mine if row["bin"] == each]) for each in bins]
        front: dict[str, Any] = {"linewidth": 1.6, "zorder": 4} if name == "rl" else {"linewidth": 0.9, "zorder": 2}
        values = [mean.value for mean in means]
        axes.step(bins, values, where="post", color=style.colour, linestyle=style.line, **front)
        table += [row for mean in means for row in in_table(mean, "norm", seeds=False)]
    axes.set_xlim(0, 1)
    plain_numbers(axes, x=True)
    return table


def _rates(axes: Axes, cell: Cell, side: str) -> list[Row]:
    """Comparisons below each other, every base beside its mean."""
    table: list[Row] = []
    known = [name for name in PARTS if pick(cell.rows, name="exclusive_latents", part=name, side=side)]
    for place, name in enumerate(known):
        mean = over_seeds(pick(cell.rows, name="exclusive_latents", part=name, side=side))
        seed_marks(axes, place, mean, PARTS[name], width=0.2, flat=True)
        table += in_table(mean, "null rate" if name in NULLS else "rate")
    null_line(axes, 0.0, upright=True)
    axes.set_ylim(len(PARTS) - 0.5, -0.5)
    axes.set_yticks([])
    plain_numbers(axes, x=True, y=False)
    return table


def excess(cell: Cell, side: str) -> Mean | None:
    """The pair's rate less the largest of its nulls', base by base; None without a null.

    Of one pair alone the limits are those of its verdict: the rate's lower one less the null's upper one.
    """
    own, most = (_by_run(cell, side, names) for names in (("rl",), NULLS))
    known = [key for key in own if key in most]
    blank = {"lo": None, "hi": None, "p": None, "null": None, "part": "excess", "unit": "none"}  # may be below 0
    runs = [own[key] | blank | {"value": own[key]["value"] - most[key]["value"]} for key in known]
    if not runs:
        return None
    mean = mean_of({"family": cell.family, "reward": cell.reward}, runs)
    if len(runs) > 1:
        return mean
    (low, high), (least, largest) = limits(own[known[0]]), limits(most[known[0]])
    return replace(mean, lo=low - largest, hi=high - least)


def _by_run(cell: Cell, side: str, names: Sequence[str]) -> dict[tuple[object, ...], Row]:
    """The largest rate of the comparisons of each run."""
    held: dict[tuple[object, ...], Row] = {}
    for name in names:
        for row in pick(cell.rows, name="exclusive_latents", part=name, side=side):
            key = (row.get("base_seed"), row.get("rl_seed"))
            if key not in held or row["value"] > held[key]["value"]:
                held[key] = row
    return held


def _title(found: Sequence[Cell]) -> tuple[str, list[Row]]:
    """Which excess survives Holm over all cells and sides."""
    pairs = [(cell, side, mean) for cell in found for side in SIDES if (mean := excess(cell, side)) is not None]
    held = surviving([mean for *_, mean in pairs])
    table = [row for mean in held for row in in_table(mean, "excess")]
    clear = [
        f"{SIDES[side]} +{number(mean.value)} {interval(mean.lo, mean.hi)} ({cell.name})"
        for (cell, side, _), mean in zip(pairs, held, strict=True)
        if mean.lo > 0 and mean.holds
    ]
    if not pairs:
        return "Exclusive latents: no null was run beside them", table
    if clear:
        told = clear if len(clear) <= TOLD else [*clear[: TOLD - 1], f"{len(clear) - TOLD + 1} more"]
        return f"Latents of one side alone are beyond every null: {listing(told)}", table
    ways = span([len({id(cell) for cell, *_ in pairs})], "way")
    most = max(mean.value for mean in held)
    words = f"Latents of one side alone are beyond the largest null in none of {ways} of training"
    return f"{words}: the excess is at most {signed(most)} of live latents", table


def _caption(shown: Sequence[Cell], table: Sequence[Row], more: str) -> str:
    live = counts([row for cell in shown for row in cell.rows if row.get("name") == "exclusive_latents"], "n")
    n, nulls = f"{span(live, 'live latent')} a dictionary", "the largest of the grey"
    if not _pairs.several(table):
        bases = span([len({(row.get("family"), row.get("base_seed")) for cell in shown for row in cell.rows})], "base")
        bars = "one run of each, bars: 95 % Wilson interval over latents"
        return caption("", f"{n}, {bases}", bars, nulls, more)
    return caption("means over base seeds", n, replicated(table, "bars"), nulls, CORRECTED, more)
