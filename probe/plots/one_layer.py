"""Does one layer carry what RL gave (2601.11061)? The share of the gain that one module of the trained model brings.

Left, its output stands in for the base's own at every token; right, its weights. A mark is the mean over bases with a t
interval, on the items that leaked; grey: changes as large in random directions, each base's draws from least to most.
If the gain lived in one layer, one mark would be near 1 and the others near 0. Left out: items that did not leak, where
there is nothing to recover (in the measurements).
"""

from collections.abc import Sequence

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import of_runs
from probe.plots._frame import finish, head, panels
from probe.plots._marks import band_key, dots, key, null_handle, null_line, plain_numbers
from probe.plots._replicates import Mean, means_by, pick
from probe.plots._style import DOUBLE, GREY, Look, styled
from probe.plots._words import number, span

WAYS = {"output": "its output alone", "weights": "its weights alone"}
MOST = 0.5  # of the gain: what a title calls most of it
OWN = Look("#0072B2", "o", label="of the trained model")
ORDER = ("embed", "attn", "mlp", "block", "norm", "head", "all")


@figures.register("one_layer")
@styled
def one_layer(rows: Rows) -> Drawing | None:
    """A panel a way; None where no leaked item gained anything."""
    held = [row | {"place": row.get("site") or row.get("module")} for row in rows if row.get("group") == "leaked"]
    means = {way: _by_place(held, f"{way}_accuracy/recovery") for way in WAYS}
    if not all(means.values()):
        return None
    most = max(len(each) for each in means.values())
    figure, axes = panels(1, len(WAYS), width=DOUBLE, height=0.45 + 0.2 * most)
    table: list[Row] = [{"mark": "null", "value": 0.0}, {"mark": "whole", "value": 1.0}]
    for axis, (way, mine) in zip(axes[0], means.items(), strict=True):
        table += _panel(axis, mine, _by_place(held, f"{way}_accuracy/null"), way)
        head(axis, WAYS[way])
        axis.set_xlabel("share of the gain recovered")
    legend = [key(OWN.label or "", OWN.marker, color=OWN.colour), band_key("random change as large", 5)]
    legend.append(null_handle("none, and all of it"))
    every = [mean for each in means.values() for mean in each]
    text = of_runs(
        "accuracy on leaked items, T = 1", every, "bars", "random changes of equal norm (grey)", _no_gap(held)
    )
    return finish(figure, _title(means["output"], _by_place(held, "output_accuracy/null")), text, table, legend)


def _no_gap(rows: Rows) -> str:
    """Of how many bases nothing can be recovered, "" where of none."""
    missing = sum(row["name"] == "output_accuracy/gap" and bool(row.get("reason")) for row in rows)
    return f"left out: {span([missing], 'base')} whose leaked items gained nothing clear" if missing else ""


def _by_place(rows: Rows, name: str) -> list[Mean]:
    """In order of depth, the parts of a block together."""
    found = means_by(pick(rows, name=name, side="change"), ("place", "component", "layer"))

    def depth(mean: Mean) -> tuple[int, int]:
        kind, layer = mean.key["component"], mean.key["layer"]
        first = ORDER.index(kind) if kind in ORDER else len(ORDER)
        return (-1 if kind == "embed" else 99 if layer is None else layer, first)

    return sorted(found, key=depth)


def _panel(axes: Axes, means: Sequence[Mean], nulls: Sequence[Mean], way: str) -> list[Row]:
    table: list[Row] = []
    places = [mean.key["place"] for mean in means]
    for value in (0.0, 1.0):
        null_line(axes, value, upright=True)
    for mean in nulls:
        for run in mean.runs:
            axes.plot(
                [run["lo"], run["hi"]],
                [places.index(mean.key["place"])] * 2,
                color=GREY,
                alpha=0.35,
                linewidth=5,
                solid_capstyle="butt",
            )
            table.append({**mean.key, "way": way, "mark": "random", "lo": run["lo"], "hi": run["hi"]})
    for place, mean in enumerate(means):
        dots(axes, place, mean, OWN, width=0.12, flat=True)
        table += mean.rows(way=way)
    axes.set_yticks(range(len(places)), places)
    axes.set_ylim(len(places) - 0.4, -0.6)
    plain_numbers(axes, x=True, y=False)
    return table


def _title(means: Sequence[Mean], nulls: Sequence[Mean]) -> str:
    """How many modules bring most of it, one at a time; and what random changes bring at most."""
    large = sum(mean.value > MOST for mean in means)
    least, best = (f(mean.value for mean in means) for f in (min, max))
    text = f"The output of one module alone brings {number(least)} to {number(best)} of the gain on leaked items: "
    text += f"more than half of it in {large} of {len(means)}"
    limit = max((run["hi"] for mean in nulls for run in mean.runs), default=None)
    return text if limit is None else f"{text}; a random change brings {number(limit)} at most"
