"""How large is what RL did to the weights, and of what shape? dW by layer and module, against a Gaussian change.

Left: |dW| / |W|. Middle: stable rank of dW, whose null is a Gaussian change of the same norm (short strokes). Right:
the share of entries that hardly moved (at most .01 of dW's rms), with the same null. Hollow: another seed's run. Drawn
for the first pair, and told for all.
"""

import math
from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter

from probe.measurements import VARIES, Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import join
from probe.plots._frame import finish, panels
from probe.plots._marks import plain_numbers
from probe.plots._pairs import PAIR, over_seeds, pair_name, pairs_of, rewards_in
from probe.plots._replicates import pick
from probe.plots._style import DOUBLE, GREY, Look, handles, styled
from probe.plots._words import number, small

PANELS = {
    "relative": "|ΔW| / |W| (ratio)",
    "stable_rank": "stable rank of ΔW (dimensions)",
    "sparsity": "still entries of ΔW (fraction)",
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
NULL = Line2D([], [], color=GREY, marker="_", linestyle="", markersize=9, label="Gaussian of equal norm (null)")
OTHER = Line2D([], [], color=GREY, marker="o", linestyle="", markerfacecolor="white", label="another seed")


@figures.register("weight_change")
@styled
def weight_change(rows: Rows) -> Drawing | None:
    """The first pair whose weights were compared; None where none was. Vectors are in the measurements only."""
    named = [f"weight_change/{name}" for name in PANELS]
    nulls = [f"{name}/null" for name in named]
    chosen = pick(rows, name=(*named, *nulls, "weight_change/cosine"))
    if not chosen:
        return None
    known = [row for row in chosen if _look(row) is not None]
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
        if name == "relative" and _is_wide(mine):
            axis.set_yscale("log")
            axis.yaxis.set_minor_formatter(NullFormatter())
        else:
            axis.yaxis.set_major_locator(MaxNLocator(5))
        plain_numbers(axis)
    shown = [style for key, style in MATRICES.items() if any(_look(row) is MATRICES[key] for row in mine)]
    legend = [*handles(shown), NULL, *([OTHER] if pick(mine, side="other") else [])]
    return finish(figure, _title(mine, known), _caption(mine, known), table, legend)


def _panel(axes: Axes, rows: Sequence[Row], name: str, after: int) -> list[Row]:
    table: list[Row] = []
    for key, style in MATRICES.items():
        here = [row for row in pick(rows, name=name) if _look(row) is style and math.isfinite(row["value"])]
        shift = 0.09 * (list(MATRICES).index(key) - 3) if key not in ("embed", "head") else 0.0
        for side, filled in (("other", False), ("change", True)):
            spots = sorted((_place(row, after) + shift, row["value"], row["null"]) for row in pick(here, side=side))
            if not spots:
                continue
            x, y, nulls = zip(*spots, strict=True)
            line = style.line if filled and len(x) > 1 else ""
            face = style.colour if filled else "white"
            axes.plot(
                x,
                y,
                style.marker,
                linestyle=line,
                color=style.colour,
                markerfacecolor=face,
                markersize=4,
                linewidth=0.7,
            )
            known = [(place, null) for place, null in zip(x, nulls, strict=True) if null is not None and filled]
            if known:
                axes.plot(*zip(*known, strict=True), "_", color=style.colour, markersize=7, alpha=0.6)
        kept = (*PAIR, "side", "name", *VARIES, "value", "null", "p", "n")
        table += [{"mark": "module", **{k: row.get(k) for k in kept}} for row in here]
        random = [row for row in pick(here, side="change") if row["null"] is not None]
        table += [{"mark": "null", **{k: row.get(k) for k in kept}, "value": row["null"]} for row in random]
    return table


def _look(row: Row) -> Look | None:
    return MATRICES.get(str(row.get("matrix")))


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


def _is_wide(rows: Sequence[Row]) -> bool:
    found = [row["value"] for row in pick(rows, name="weight_change/relative") if math.isfinite(row["value"])]
    return bool(found) and min(found) > 0 and max(found) / min(found) > 20


def _title(rows: Sequence[Row], all_rows: Sequence[Row]) -> str:
    name = pair_name(rows[0], rewards_in(all_rows))
    moved = [row for row in pick(rows, name="weight_change/relative", side="change") if row["value"] > 0]
    if not moved:
        return f"{name}: no weight changed"
    least, most = (choose(row["value"] for row in moved) for choose in (min, max))
    told = f"; stable rank below a Gaussian's in {_below(rows)} matrices" if _below(rows) else ""
    return f"{name}: |ΔW| is {small(least)} to {small(most)} of |W|{told}{_range(all_rows)}"


def _below(rows: Sequence[Row]) -> str:
    """How many matrices have a stable rank beyond their null."""
    ranks = [row for row in pick(rows, name="weight_change/stable_rank", side="change") if row["null"] is not None]
    below = sum(row["value"] < row["null"] and row["p"] <= 0.05 for row in ranks)
    return f"{below} of {len(ranks)}" if ranks else ""


def _range(rows: Sequence[Row]) -> str:
    """The same numbers over all pairs."""
    pairs = pairs_of(rows)
    values = [row["value"] for row in pick(rows, name="weight_change/relative", side="change")]
    if len(pairs) < 2:
        return ""
    below = _below(rows)
    told = f" and in {below}" if below else ""
    return f" (over {len(pairs)} pairs {small(min(values))} to {small(max(values))}{told})"


def _mean(rows: Sequence[Row]) -> str:
    """Mean |dW| / |W| over a pair's matrices, and its interval over base seeds."""
    by_pair = [
        [row for row in pick(rows, name="weight_change/relative", side="change") if pairs_of([row]) == [pair]]
        for pair in pairs_of(rows)
    ]
    means = [own[0] | {"value": fmean(row["value"] for row in own), "unit": "none"} for own in by_pair if own]
    mean = over_seeds(means)
    if len(mean.runs) < 2:
        return ""
    return (
        f"Mean |ΔW| / |W| over matrices and pairs: {small(mean.value)} [{small(mean.lo)}, {small(mean.hi)}], 95 % t "
        f"interval over {len(mean.runs)} base seeds."
    )


def _caption(rows: Sequence[Row], all_rows: Sequence[Row]) -> str:
    still = sum(row["value"] == 0 for row in pick(rows, name="weight_change/relative", side="change"))
    draws = sorted({int(row["n"]) for row in pick(rows, name="weight_change/stable_rank/null")})
    cosines = [row["value"] for row in pick(rows, name="weight_change/cosine")]
    pairs = len(pairs_of(all_rows))
    return join(
        f"Drawn: {pair_name(rows[0], rewards_in(all_rows))}, the first of {pairs} pairs."
        if pairs > 1
        else "One pair of checkpoints.",
        "Marks are exact, without sampling error, so without intervals.",
        _mean(all_rows),
        f"Null: mean of {draws[0]} Gaussian changes of each matrix's own norm." if draws else "",
        f"{still} matrices did not change." if still else "",
        f"Cosine with the other seed's change: {number(min(cosines))} to {number(max(cosines))}." if cosines else "",
        "Emb.: embedding; head: where it is no embedding. Stable rank: |ΔW|² / s₁². Still: |ΔWᵢⱼ| ≤ .01 rms(ΔW).",
    )
