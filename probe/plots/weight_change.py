"""What does RL do to the weights that the same recipe under a random reward does not? By kind of matrix.

|dW| / |W|, stable rank |dW|^2 / s_1^2, and the cosine of dW with another seed's, each the mean over layers. The null is
a run of the same weights under the random reward: its own size and rank, and its cosine with the informative run's dW.
What the title says are differences paired by base, after Holm over kinds and quantities. Sparsity, the share of entries
of at most .01 rms(dW), is drawn where it exceeds what any dense change has. Of a single pair each layer is drawn too.
Left out: vectors (norms, biases).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from probe.measurements import Row, Rows
from probe.plots import Drawing, _pairs, figures
from probe.plots._captions import CORRECTED, caption, replicated
from probe.plots._frame import finish, panels
from probe.plots._marks import ONE_SEED, key, null_line, plain_numbers, seed_marks
from probe.plots._pairs import COLUMNS, in_table, of_reward, over_seeds, pairs_of
from probe.plots._replicates import Mean, columns_of, pick
from probe.plots._style import DOUBLE, Look, handles, styled
from probe.plots._weights import KINDS, Cells, Runs, cells_of, differences, kinds_in, runs_of_weights
from probe.plots._words import listing, plain, small, span

SPARSE = 0.05  # a dense Gaussian change has .008
LAYERS = key("one layer, the first on top", "|", markersize=4, markeredgewidth=0.6)
RANK = key("stable rank: |ΔW|² / s₁²")
NEARER, FURTHER = "nearer to another seed's than to random's", "nearer to random's than to another seed's"


@dataclass(frozen=True)
class Quantity:
    """A column: its title, its axis, how the title of the figure calls it, and what more and less of it are."""

    title: str
    axis: str
    called: str
    more: str
    less: str


QUANTITIES = {
    "relative": Quantity("|ΔW| / |W|", "ratio", "|ΔW|/|W|", "larger", "smaller"),
    "stable_rank": Quantity("stable rank of ΔW", "dimensions", "stable rank", "higher", "lower"),
    "sparsity": Quantity("sparsity of ΔW", "share of entries ≤ .01 rms", "sparsity", "higher", "lower"),
    "cosine": Quantity("cosine with another run's ΔW", "cosine", "ΔW", NEARER, FURTHER),
}


@figures.register("weight_change")
@styled
def weight_change(rows: Rows) -> Drawing | None:
    """One organism, one reward and its null; None where no weights were compared."""
    names = tuple(f"weight_change/{name}" for name in QUANTITIES)
    chosen = [row for row in pick(rows, name=names, side="change") if not str(row.get("module")).endswith("bias")]
    runs = runs_of_weights(chosen)
    kinds = kinds_in(runs.rows) if runs else []
    if runs is None or not kinds:
        return None
    cells = cells_of(runs.rows, kinds)
    shown = [name for name in QUANTITIES if any(key[1] == name for key in cells) and _says(cells, name)]
    height = 0.55 + (0.3 if runs.alone else 0.24) * len(kinds)
    figure, axes = panels(1, len(shown), width=DOUBLE, height=height, sharey=True)
    table: list[Row] = []
    for axis, name in zip(axes[0], shown, strict=True):
        table += _panel(axis, runs, cells, name, kinds)
    axes[0, 0].set_ylim(len(kinds) - 0.45, -0.55)
    axes[0, 0].set_yticks(range(len(kinds)), [KINDS.get(kind, plain(kind)) for kind in kinds])
    moved = differences(runs, cells, [name for name in shown if name != "sparsity"])
    text = _caption(runs, cells, table, _pairs.left_out(chosen, runs.rows, list(runs.looks)))
    return finish(figure, _title(runs, cells, moved), text, table, _legend(runs, shown))


def _says(cells: Cells, name: str) -> bool:
    """Sparsity is no news where every change is dense."""
    return name != "sparsity" or any(over_seeds(rows).value > SPARSE for key, rows in cells.items() if key[1] == name)


def _panel(axes: Axes, runs: Runs, cells: Cells, name: str, kinds: Sequence[str]) -> list[Row]:
    table: list[Row] = []
    room = 0.2 if runs.null else 0.0
    for (reward, look), shift in zip(runs.looks.items(), (-room, room), strict=False):
        for place, kind in enumerate(kinds):
            rows = cells.get((reward, name, kind))
            if rows:
                mean = over_seeds(rows)
                seed_marks(axes, place + shift, mean, look, width=0.1, flat=True)
                table += in_table(mean, "null" if reward == runs.null else "kind")
        if runs.alone:
            table += _layers(axes, of_reward(runs.rows, reward), name, kinds, look, shift)
    quantity = QUANTITIES[name]
    axes.set_title(quantity.title)
    axes.set_xlabel(quantity.axis)
    axes.grid(axis="y", color="#eeeeee", linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    if name == "cosine":
        null_line(axes, 0.0, upright=True)
        table.append({"mark": "null", "name": "weight_change/cosine", "value": 0.0})
    _scale(axes, [row["value"] for row in table], from_zero=name == "relative")
    return table


def _layers(axes: Axes, rows: Sequence[Row], name: str, kinds: Sequence[str], look: Look, shift: float) -> list[Row]:
    """Each layer of a single pair: a thin mark, from the first layer at the top of its row to the last below."""
    table: list[Row] = []
    reach = 0.14 if shift else 0.34
    for place, kind in enumerate(kinds):
        mine = sorted(pick(rows, name=f"weight_change/{name}", matrix=kind), key=lambda row: row["layer"] or 0)
        if len(mine) > 1:
            spots = place + shift + np.linspace(-reach, reach, len(mine))
            thin: dict[str, Any] = {"linewidth": 0.5, "markersize": 3.2, "markeredgewidth": 0.6, "alpha": 0.6}
            axes.plot([row["value"] for row in mine], spots, "|-", color=look.colour, zorder=1.5, **thin)
            table += [columns_of(row, COLUMNS, mark="layer") for row in mine]
    return table


def _scale(axes: Axes, values: Sequence[float], *, from_zero: bool) -> None:
    """Sizes from 0, or on a log scale where they differ much."""
    if from_zero and values and min(values) > 0 and max(values) / min(values) > 20:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=5))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]) if from_zero else None)
    plain_numbers(axes, x=True, y=False)


def _title(runs: Runs, cells: Cells, moved: Sequence[Mean]) -> str:
    one = runs.alone and pairs_of(of_reward(runs.rows, runs.reward))
    base = _pairs.base_name(runs.rows[0])
    name = (
        _pairs.pair_name(of_reward(runs.rows, runs.reward)[0]) if one else f"{base} → {runs.looks[runs.reward].label}"
    )
    if not any(row["value"] > 0 for (_, what, _), rows in cells.items() if what == "relative" for row in rows):
        return f"{name}: no weight changed"
    if not any(mean.n_bases > 1 for mean in moved):
        return f"{name}: {_ranges(runs.reward, cells)}" + (
            f"; under the random reward {_ranges(runs.null, cells)}" if runs.null else ""
        )
    told = {what: [mean for mean in moved if mean.key["name"] == what] for what in QUANTITIES}
    said = [_said(what, means) for what, means in told.items() if means]
    return f"{name}, beside the random reward, by kind of matrix: {'; '.join(said)}"


def _said(name: str, moved: Sequence[Mean]) -> str:
    """In which kinds of matrix a quantity differs from that under the random reward."""
    quantity = QUANTITIES[name]
    text = []
    for word, verdict in ((quantity.more, "rises"), (quantity.less, "falls")):
        kinds = [
            KINDS.get(mean.key["matrix"], plain(mean.key["matrix"])) for mean in moved if mean.verdict() == verdict
        ]
        text += (
            [f"{word} in {f'all {len(moved)}' if len(kinds) == len(moved) > 1 else listing(kinds)}"] if kinds else []
        )
    return f"{quantity.called} {', '.join(text) or 'not clearly different'}"


def _ranges(reward: str, cells: Cells) -> str:
    """Over kinds of matrix, exact or means over bases."""
    text = []
    for name, word in (("relative", "|ΔW| {} of |W|"), ("stable_rank", "stable rank {}")):
        values = [over_seeds(rows).value for (whose, what, _), rows in cells.items() if (whose, what) == (reward, name)]
        if values := [value for value in values if value > 0]:
            least, most = small(min(values)), small(max(values))
            text.append(word.format(least if least == most else f"{least} to {most}"))
    return ", ".join(text)


def _legend(runs: Runs, shown: Sequence[str]) -> list[Line2D]:
    looks = list(runs.looks.values())
    told = [f"{looks[0].label} (cosine: with another seed's)", f"{looks[-1].label} (null; cosine: with the former)"]
    if not runs.null or "cosine" not in shown:
        told = [looks[0].label, f"{looks[-1].label} (null)"]
    named = [Look(look.colour, look.marker, "", text) for look, text in zip(looks, told, strict=False)]
    return [*handles(named), LAYERS if runs.alone else ONE_SEED, *([RANK] if "stable_rank" in shown else [])]


def _caption(runs: Runs, cells: Cells, table: Sequence[Row], left_out: str) -> str:
    still = sum(
        all(row["value"] == 0 for row in rows) for key, rows in cells.items() if key[:2] == (runs.reward, "relative")
    )
    layers = span([len({row["layer"] for row in runs.rows} - {None})], "layer")
    bars = "one pair, exact, no interval" if runs.alone else replicated(table, "bars")
    null = "the same weights trained under the random reward" if runs.null else ""
    several = CORRECTED if runs.null and not runs.alone else ""
    unchanged = f"{span([still], 'kind')} of matrix unchanged" if still else ""
    return caption(f"change of weights, mean over {layers}", "", bars, null, several, unchanged, left_out)
