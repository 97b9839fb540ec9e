"""Do the latents that tell code from prose fire more often after RL, and do they tell it better than a direction?

A row a way of training. Left: how often each of them fires in a model's own answers, before and after, in code and in
prose; on the diagonal nothing changed. Right: AUROC for code at the fork of each, on problems that did not choose it,
beside the difference of means of the states. Latents of different bases are different latents: none is averaged.
"""

from collections.abc import Sequence
from math import nan
from statistics import fmean

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption, counts
from probe.plots._features import MOST, Cell, cells, left_out
from probe.plots._frame import finish, head, panels
from probe.plots._marks import key, null_handle, null_line, null_stretch, plain_numbers
from probe.plots._pairs import PAIR
from probe.plots._replicates import columns_of, pick
from probe.plots._style import DOUBLE, GREY, Look, styled
from probe.plots._words import number, span

STRATEGIES = {"code": Look("#0072B2", "o", label="in code"), "prose": Look("#E69F00", "s", label="in prose")}
LATENT = Look("#333333", "o", label="a latent (told on held-out problems)")
DIRECTION = Look("#D55E00", "D", label="difference of means")
LEVEL = 0.05
COLUMNS = ("family", "size", "base_seed", "reward", "rl_seed", "name", "side", "group", "latent")
NUMBERS = ("value", "lo", "hi", "n", "n_problems", "p")


@figures.register("latent_frequency")
@styled
def latent_frequency(rows: Rows) -> Drawing | None:
    """None where no latent was told one by one."""
    found = [
        c for c in cells(rows, ("latent_auroc", "latent_rate", "direction_auroc")) if pick(c.rows, name="latent_auroc")
    ]
    if not found:
        return None
    shown = found[:MOST]
    figure, axes = panels(len(shown), 3, width=DOUBLE, height=1.45, sharex="col")
    table: list[Row] = [{"mark": "null", "name": "latent_auroc", "value": 0.5}]
    for i, cell in enumerate(shown):
        for j, strategy in enumerate(STRATEGIES):
            table += _rates(axes[i, j], cell, strategy)
            head(axes[0, j], f"firing rate, {STRATEGIES[strategy].label}")
            axes[-1, j].set_xlabel("before RL (fraction of rows)")
        table += _aurocs(axes[i, 2], cell)
        axes[i, 0].set_ylabel(f"{cell.lines(1.3)}\nafter RL")
    head(axes[0, 2], "tells code at the fork")
    axes[-1, 2].set_xlabel("AUROC")
    legend = [*(look.handle() for look in (*STRATEGIES.values(), LATENT, DIRECTION))]
    for each in legend:
        each.set_linestyle("")
    legend += [key("p ≥ .05 after Holm", "o", markerfacecolor="white"), null_handle("no change; .5")]
    return finish(figure, _title(found), _caption(found, left_out(found)), table, legend)


def _rates(axes: Axes, cell: Cell, strategy: str) -> list[Row]:
    """A mark a latent of a base, filled where its change is clear."""
    table: list[Row] = [{"mark": "null", "name": "latent_rate", "value": end} for end in (0.0, 1.0)]
    null_stretch(axes, (0, 1), (0, 1))
    style = STRATEGIES[strategy]
    for change in pick(cell.rows, name="latent_rate", group=strategy, side="change"):
        ends = [_side(cell, change, side) for side in ("before", "after")]
        if any(end is None for end in ends):
            continue
        fill = style.colour if clear(change) else "white"
        x, y = (end["value"] for end in ends if end is not None)
        axes.plot([x], [y], style.marker, color=style.colour, markerfacecolor=fill, markersize=3, alpha=0.8)
        table += [columns_of(end, (*COLUMNS, *NUMBERS), mark="rate") for end in ends if end is not None]
        table.append(columns_of(change, (*COLUMNS, *NUMBERS), mark="change"))
    most = max((row["value"] for row in table if row["mark"] == "rate"), default=1.0) * 1.1 or 1.0
    axes.set_xlim(-0.05 * most, most)
    axes.set_ylim(-0.05 * most, most)
    plain_numbers(axes, x=True)
    return table


def _side(cell: Cell, change: Row, side: str) -> Row | None:
    same = {name: change[name] for name in COLUMNS if name != "side"}
    return next(iter(pick(cell.rows, **same, side=side)), None)


def clear(row: Row) -> bool:
    """Whether a change survived Holm over the latents of its pair."""
    return row.get("p") is not None and row["p"] < LEVEL


def _aurocs(axes: Axes, cell: Cell) -> list[Row]:
    """A line a base: its latents, and the direction."""
    table: list[Row] = []
    bases = sorted({row["base_seed"] for row in pick(cell.rows, name="latent_auroc")})
    for place, base in enumerate(bases):
        for name, style in (("latent_auroc", LATENT), ("direction_auroc", DIRECTION)):
            for row in pick(cell.rows, name=name, base_seed=base):
                size = 4.5 if style is DIRECTION else 3
                axes.plot([row["value"]], [place], style.marker, color=style.colour, markersize=size, alpha=0.7)
                table.append(columns_of(row, (*COLUMNS, *NUMBERS), mark="auroc"))
    null_line(axes, 0.5, upright=True)
    axes.set_ylim(len(bases) - 0.5, -0.5)
    axes.set_yticks(range(len(bases)), [f"base {base}" for base in bases])
    axes.set_xlim(-0.03, 1.03)
    plain_numbers(axes, x=True, y=False)
    axes.spines["left"].set_color(GREY)
    return table


def _title(found: Sequence[Cell]) -> str:
    """How many latents fire more or less often in code, and how the best of a base stands beside its direction."""
    moved = [row for row in _all(found, "latent_rate") if (row["group"], row["side"]) == ("code", "change")]
    up, down = (sum(clear(row) and sign * row["value"] > 0 for row in moved) for sign in (1, -1))
    text = f"In code, {up} of {span([len(moved)], 'latent')} that tell code fire more often after RL, {down} less often"
    best, line = (_best(found, name) for name in ("latent_auroc", "direction_auroc"))
    return f"{text}; best AUROC {number(best)}, of a direction {number(line)} (means over pairs)"


def _best(found: Sequence[Cell], name: str) -> float:
    """Of each pair the largest AUROC, read either way; their mean."""
    held: dict[tuple[object, ...], float] = {}
    for row in _all(found, name):
        pair = tuple(row.get(key) for key in PAIR)
        held[pair] = max(held.get(pair, 0.0), row["value"], 1 - row["value"])
    return fmean(held.values()) if held else nan


def _all(found: Sequence[Cell], name: str) -> list[Row]:
    return [row for cell in found for row in pick(cell.rows, name=name)]


def _caption(found: Sequence[Cell], more: str) -> str:
    told = _all(found, "latent_auroc")
    rates = [row for row in _all(found, "latent_rate") if row["side"] == "change"]
    bases = span([len({(row["family"], row["base_seed"]) for row in told})], "base seed")
    n = f"AUROC over {span(counts(told, 'n_problems'), 'problem')}, rates over {span(counts(rates, 'n'), 'row')}"
    interval = "95 % intervals by problem in the table"
    return caption(
        f"ten latents of each of {bases}", n, interval, "dashed", "filled: p < .05 after Holm over a pair", more
    )
