"""How large is what RL did to the weights, and of what shape? dW by layer and module, against a Gaussian change.

Left: |dW| / |W|. Middle: stable rank of dW, whose null is a Gaussian change of the same norm (short strokes). Right:
the share of entries that hardly moved (at most .01 of dW's rms), with the same null. Hollow: another seed's run. Drawn
for the first pair, and said of all.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter

from probe.measurements import VARIES, Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption, counts
from probe.plots._frame import finish, panels
from probe.plots._marks import key, plain_numbers
from probe.plots._pairs import PAIR, over_seeds, pair_name, pairs_of, rewards_in
from probe.plots._replicates import columns_of, pick
from probe.plots._style import DOUBLE, Look, handles, styled
from probe.plots._words import number, small, span

PANELS = {
    "relative": "|ΔW| / |W| (ratio)",
    "stable_rank": "stable rank of ΔW (dimensions)",
    "sparsity": "sparsity of ΔW (fraction)",
}
MATRICES = {
    "q_proj": Look("#0072B2", "o", "-", "q"),
    "k_proj": Look("#56B4E9", "s", "-", "k"),
    "v_proj": Look("#009E73", "^", "-", "v"),
    "o_proj": Look("#000000", "D", "-", "o"),
    "gate_proj": Look("#E69F00", "v", "--", "gate"),
    "up_proj": Look("#D55E00", "P", "--", "up"),
    "down_proj": Look("#CC79A7", "X", "--", "down"),
    "embed": Look("#8B6914", "*", ":", "embedding"),
    "head": Look("#5D3A9B", "h", ":", "head"),
}
NULL = key("Gaussian of equal norm (null)", "_", markersize=9)
SPARSE = key("sparsity: |ΔWᵢⱼ| ≤ .01 rms(ΔW)")
RANK = key("stable rank: |ΔW|² / s₁²")


@figures.register("weight_change")
@styled
def weight_change(rows: Rows) -> Drawing | None:
    """The first pair whose weights were compared; None where none was. Vectors are in the measurements only."""
    named = [f"weight_change/{name}" for name in PANELS]
    nulls = [f"{name}/null" for name in named]
    chosen = pick(rows, name=(*named, *nulls, "weight_change/cosine"))
    if not chosen:
        return None
    known = [row for row in chosen if str(row.get("matrix")) in MATRICES]
    mine = [row for row in known if pairs_of([row]) == pairs_of(known[:1])]
    layers = sorted({place for row in mine if 0 <= (place := _place(row, 10**6)) < 10**6})
    after = len(layers)
    figure, axes = panels(1, len(PANELS), width=DOUBLE, height=2.0)
    table: list[Row] = []
    for axis, (name, label) in zip(axes[0], PANELS.items(), strict=True):
        table += _panel(axis, mine, f"weight_change/{name}", after)
        axis.set_title(label)
        axis.set_xlabel("layer")
        _ticks(axis, after, {_place(row, after) for row in mine} - set(layers))
        values = [row["value"] for row in pick(mine, name=f"weight_change/{name}")]
        if name == "relative" and values and min(values) > 0 and max(values) / min(values) > 20:
            axis.set_yscale("log")
            axis.yaxis.set_minor_formatter(NullFormatter())
        else:
            axis.yaxis.set_major_locator(MaxNLocator(5))
        plain_numbers(axis)
    shown = [style for matrix, style in MATRICES.items() if any(row["matrix"] == matrix for row in mine)]
    legend = [*handles(shown), NULL, *_other(mine), RANK, SPARSE]
    return finish(figure, _title(mine, known), _caption(mine, known), table, legend)


def _other(rows: Sequence[Row]) -> list[Line2D]:
    cosines = [row["value"] for row in pick(rows, name="weight_change/cosine")]
    alike = f" (cosine {number(min(cosines))} to {number(max(cosines))})" if cosines else ""
    return [key(f"another seed{alike}", "o", markerfacecolor="white")] if pick(rows, side="other") else []


def _panel(axes: Axes, rows: Sequence[Row], name: str, after: int) -> list[Row]:
    table: list[Row] = []
    kept = (*PAIR, "side", "name", *VARIES, "value", "null", "p", "n")
    for matrix, style in MATRICES.items():
        mine = pick(rows, name=name, matrix=matrix)
        shift = 0.09 * (list(MATRICES).index(matrix) - 3) if matrix not in ("embed", "head") else 0.0
        for side, face in (("other", "white"), ("change", style.colour)):
            spots = sorted((_place(row, after) + shift, row["value"], row["null"]) for row in pick(mine, side=side))
            line = style.line if side == "change" and len(spots) > 1 else ""
            drawn: dict[str, Any] = {"linestyle": line, "markerfacecolor": face, "markersize": 4, "linewidth": 0.7}
            xy = [[spot[0] for spot in spots], [spot[1] for spot in spots]]
            axes.plot(*xy, style.marker, color=style.colour, **drawn) if spots else None
        nulls = [(place, null) for place, _, null in spots if null is not None]
        axes.plot(*zip(*nulls, strict=True), "_", color=style.colour, markersize=7, alpha=0.6) if nulls else None
        table += [columns_of(row, kept, mark="module") for row in mine]
        random = [row for row in pick(mine, side="change") if row["null"] is not None]
        table += [columns_of(row, kept, mark="null", value=row["null"]) for row in random]
    return table


def _place(row: Row, after: int) -> int:
    """Where on the axis: the layer; the embedding before the first, the head behind the last."""
    return -1 if row["matrix"] == "embed" else after if row["matrix"] == "head" else int(row["layer"])


def _ticks(axes: Axes, after: int, ends: set[int]) -> None:
    """Layers, as many as can be read, and what stands before the first and behind the last."""
    step = -(-after // 8) or 1
    named = {-1: "emb.", after: "head"}
    places = [*range(0, after, step), *sorted(ends)]
    axes.set_xticks(places, [named.get(place, str(place)) for place in places])
    axes.set_xlim(min(places) - 0.7, max(places) + 0.7)


def _changes(rows: Sequence[Row]) -> list[Row]:
    return pick(rows, name="weight_change/relative", side="change")


def _title(rows: Sequence[Row], all_rows: Sequence[Row]) -> str:
    name, below = pair_name(rows[0], rewards_in(all_rows)), _below(rows)
    moved = [row["value"] for row in _changes(rows) if row["value"] > 0]
    if not moved:
        return f"{name}: no weight changed"
    rank = f"; stable rank below a Gaussian's in {below} matrices" if below else ""
    return f"{name}: |ΔW| is {small(min(moved))} to {small(max(moved))} of |W|{rank}{_range(all_rows)}"


def _below(rows: Sequence[Row]) -> str:
    """How many matrices have a stable rank clearly below their null."""
    ranks = [row for row in pick(rows, name="weight_change/stable_rank", side="change") if row["null"] is not None]
    below = sum(row["value"] < row["null"] and row["p"] <= 0.05 for row in ranks)
    return f"{below} of {len(ranks)}" if ranks else ""


def _range(rows: Sequence[Row]) -> str:
    """The same numbers over all pairs."""
    pairs, below = len(pairs_of(rows)), _below(rows)
    values = [row["value"] for row in _changes(rows)]
    ranks = f" and in {below}" if below else ""
    return f" (over {pairs} pairs {small(min(values))} to {small(max(values))}{ranks})" if pairs > 1 else ""


def _mean(rows: Sequence[Row]) -> str:
    """Mean |dW| / |W| over a pair's matrices, and its interval over base seeds."""
    by_pair = [[row for row in _changes(rows) if pairs_of([row]) == [pair]] for pair in pairs_of(rows)]
    means = [own[0] | {"value": fmean(row["value"] for row in own), "unit": "none"} for own in by_pair if own]
    if not means or len((mean := over_seeds(means)).runs) < 2:
        return ""
    over = f"95 % t interval over {len(mean.runs)} base seeds"
    return f"mean |ΔW|/|W| {small(mean.value)} [{small(mean.lo)}, {small(mean.hi)}], {over}"


def _caption(rows: Sequence[Row], all_rows: Sequence[Row]) -> str:
    still = sum(row["value"] == 0 for row in _changes(rows))
    draws = counts(pick(rows, name="weight_change/stable_rank/null"), "n")
    pairs = len(pairs_of(all_rows))
    n = f"{pair_name(rows[0], rewards_in(all_rows))}, the first of {pairs} pairs" if pairs > 1 else "one pair"
    exact = "marks exact, no interval"
    null = f"mean of {span(draws[:1], 'Gaussian change')} of equal norm" if draws else ""
    return caption("change of weights", n, exact, null, _mean(all_rows), f"{still} matrices unchanged" if still else "")
