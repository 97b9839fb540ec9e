"""Where in the model does the fork stand, and where did RL move it? Recovery by layer and position, its null beside it.

Drawn for the first pair, and said of all. One row a comparison: code <-> prose within the checkpoint before, and
after, RL (the same chain under another style letter), and before -> after on the same prompts. Columns: residual
stream, attention, MLP, heads, each at every position of the prompt (the last is the fork), and paths (one component's
direct effect on the fork). Colour is the share of the gap that patching closes, from -1 to 1; below each map stands its
null, the mean of equal-norm random changes. Grey, hatched: there was no gap to recover.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Patch, Rectangle

from probe.measurements import VARIES, Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption, counts
from probe.plots._frame import NO_BREAK, finish, head, panels
from probe.plots._marks import key, plain_numbers
from probe.plots._pairs import PAIR, pair_name, pairs_of, rewards_in
from probe.plots._replicates import columns_of, pick
from probe.plots._style import DOUBLE, SMALL, styled
from probe.plots._words import interval, number, sentence, signed, span

SIDES = {"before": "code ↔ prose, before RL", "after": "code ↔ prose, after RL", "change": "before → after"}
KINDS = {"resid": "residual stream", "attn": "attention", "mlp": "MLP", "head": "heads"}
PATHS = "paths"
COLOURS = "PuOr_r"  # told apart with every kind of colour blindness; white is 0
MOST_HEADS = 24  # rows of the head map; more of them: one row a layer, one column a head, all positions at once
HEADS = {**KINDS, "head": "heads (layer.head)", PATHS: "paths to the fork"}
HATCH: dict[str, Any] = {"facecolor": "#eeeeee", "edgecolor": "#bbbbbb", "hatch": "///"}
LEGEND = [key("columns: tokens from the end; −1: the fork; all: all at once"), Patch(**HATCH, label="no gap")]
NAMES = ("patch/recovery", "patch/null", "path/recovery", "path/null", "patch/gap")


@figures.register("patching")
@styled
def patching(rows: Rows) -> Drawing | None:
    """The first pair that was patched; None where none was."""
    chosen = pick(rows, name=NAMES)
    if not chosen:
        return None
    mine = [row for row in chosen if pairs_of([row]) == pairs_of(chosen[:1])]
    sides = [side for side in SIDES if pick(mine, side=side)]
    columns = [kind for kind in KINDS if any(_at(row)[0] == kind for row in mine)] + [PATHS]
    figure, axes = panels(2 * len(sides), len(columns), width=DOUBLE, height=0.98)
    table: list[Row] = []
    for k, column in enumerate(columns):
        maps = [row for row in mine if row["name"] != "patch/gap" and _column(row) == column]
        labels = _labels(maps, column)
        for i, (side, name) in enumerate((side, name) for side in sides for name in ("recovery", "null")):
            rows = [row for row in pick(maps, side=side) if row["name"].endswith(name)]
            table += _map(axes[i, k], rows, column, labels, last=i == 2 * len(sides) - 1)
        head(axes[0, k], HEADS[column], 3)
        across = "head" if labels[1] and labels[1][0].startswith("h") else "token from the end"
        axes[-1, k].set_xlabel("component" if column == PATHS else across)
    for i, side in enumerate(sides):
        axes[2 * i, 0].set_ylabel(f"{SIDES[side]}\nlayer".replace(", ", ",\n"))
        axes[2 * i + 1, 0].set_ylabel("null: random\nlayer", color="#555555")
    scale = figure.colorbar(ScalarMappable(Normalize(-1, 1), COLOURS), ax=axes, shrink=0.5, aspect=30, pad=0.01)
    scale.set_label("share of the gap recovered (1: all of it)", fontsize=SMALL)
    scale.outline.set_visible(False)
    plain_numbers(scale.ax)
    return finish(figure, _title(mine, chosen, sides), _caption(mine, chosen, sides), table, LEGEND)


def _column(row: Row) -> str:
    return PATHS if str(row["name"]).startswith("path/") else _at(row)[0]


def _at(row: Row) -> tuple[str, int, int | None, str]:
    """Kind, layer, head and position of what was patched: "all" of them at once, and of a path "", for it has none."""
    position = "all" if row.get("everywhere") else row.get("position")
    where = "" if position is None else str(position)
    return str(row.get("component") or ""), row.get("layer") or 0, row.get("head"), where


def _map(axes: Axes, rows: Sequence[Row], column: str, labels: tuple[list[str], list[str]], *, last: bool) -> list[Row]:
    """One heat map; what it shows goes into the table."""
    y, x = labels
    if rows:
        grid = np.full((len(y), len(x)), np.nan)
        for row in rows:
            vertical, across = _place(row, column, len(y))
            if vertical in y and across in x:
                grid[y.index(vertical), x.index(across)] = row["value"]
        axes.imshow(grid, cmap=COLOURS, vmin=-1, vmax=1, aspect="auto", origin="lower", interpolation="nearest")
    else:
        axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, **HATCH))
        axes.set_xlim(-0.5, max(len(x), 1) - 0.5)
        axes.set_ylim(-0.5, max(len(y), 1) - 0.5)
    _ticks(axes, y, x)
    axes.tick_params(labelbottom=last)
    kept = (*PAIR, "side", "name", *VARIES, "value", "lo", "hi", "n", "n_problems", "null", "p")
    return [columns_of(row, kept, mark="null" if row["name"].endswith("null") else "map") for row in rows]


def _labels(rows: Sequence[Row], column: str) -> tuple[list[str], list[str]]:
    """Names of the map's rows, lowest first, and of its columns."""
    places = [_place(row, column, 0) for row in rows]
    y = list(dict.fromkeys(sorted((one for one, _ in places), key=_order)))
    if column == "head" and len(y) > MOST_HEADS:
        places = [_place(row, column, len(y)) for row in rows if _at(row)[3] == "all"]
        y = list(dict.fromkeys(sorted((one for one, _ in places), key=_order)))
    return y, list(dict.fromkeys(sorted((two for _, two in places), key=_order)))


def _place(row: Row, column: str, n: int) -> tuple[str, str]:
    kind, layer, which, position = _at(row)
    if column == PATHS:
        return str(layer), kind if which is None else f"h{which}"
    if column != "head":
        return str(layer), position
    return (str(layer), f"h{which}" if position == "all" else "") if n > MOST_HEADS else (f"{layer}.{which}", position)


def _order(name: str) -> tuple[int, float, str]:
    """Numbers by size, heads by number, then words."""
    digits = name.removeprefix("h").removeprefix("-")
    if digits.replace(".", "", 1).isdigit():
        layer, _, which = digits.partition(".")
        return 0, (int(layer) + int(which or 0) / 1000) * (-1 if name.startswith("-") else 1), ""
    return 1, 0.0, name


def _ticks(axes: Axes, y: list[str], x: list[str]) -> None:
    step, across = -(-len(y) // 6) or 1, -(-len(x) // 5) or 1
    axes.set_yticks(range(0, len(y), step), y[::step])
    shown = sorted({*range(len(x) - 1, -1, -across)}) if len(x) > 5 else list(range(len(x)))
    axes.set_xticks(shown, [x[i].replace("-", "−") for i in shown])
    axes.tick_params(length=2, pad=1.5)


def _best(rows: Sequence[Row], side: str) -> Row | None:
    """The single site below the residual stream whose patch closes most of the gap."""
    below = [row for row in pick(rows, side=side, name="patch/recovery") if _at(row)[0] != "resid"]
    return max(below, key=lambda row: row["value"], default=None)


def _title(rows: Sequence[Row], all_rows: Sequence[Row], sides: Sequence[str]) -> str:
    name = pair_name(rows[0], rewards_in(all_rows))
    best = _best(rows, sides[-1])
    if best is None:
        return sentence(f"{name}: no gap at the fork to recover")
    site = f"{best['site']} at {_at(best)[3]}".replace("at -", "at −")
    null = "" if best["null"] is None else f", null{NO_BREAK}{signed(best['null'])}"
    what = "of RL's shift of the fork" if sides[-1] == "change" else f"of the gap {SIDES[sides[-1]]}"
    share = f"{number(best['value'])} {interval(best['lo'], best['hi'])}"
    return f"{name}: {site} recovers {share} {what}{null}{_range(best, all_rows)}"


def _range(best: Row, all_rows: Sequence[Row]) -> str:
    """The same number in every pair."""
    same = pick(all_rows, **{name: best.get(name) for name in ("side", "name", *VARIES)})
    values = [row["value"] for row in same]
    return f"; over {len(same)} pairs {number(min(values))} to {number(max(values))}" if len(same) > 1 else ""


def _caption(rows: Sequence[Row], all_rows: Sequence[Row], sides: Sequence[str]) -> str:
    held = {row["side"]: row for row in pick(rows, name="patch/gap")}
    reasons = {side: f" ({row['reason']})" if row.get("reason") else "" for side, row in held.items()}
    gaps = [f"{number(held[side]['value'])}{reasons[side]}" for side in sides if side in held]
    pairs, draws = len(pairs_of(all_rows)), counts(pick(rows, name="patch/null"), "n")
    first = f"{pair_name(rows[0], rewards_in(all_rows))}, the first of {pairs} pairs" if pairs > 1 else "one pair"
    n = span(counts(pick(rows, name="patch/recovery"), "n_problems"), "problem")
    null = f"mean of {span(draws, 'equal-norm random change')}" if draws else ""
    what = f"gap of {', '.join(gaps)} nats (log-odds of code at the fork)" if gaps else ""
    return caption(f"share of the gap closed, {first}", n, "95 % Fieller interval in the table", null, what)
