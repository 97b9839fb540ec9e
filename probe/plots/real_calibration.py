"""Does stated confidence say how often the answer is right, before and after RL? Reliability diagrams of real systems.

Accuracy per bin of stated confidence against the bin's mean confidence; calibrated answers lie on the dashed diagonal.
ECE and Brier score of each system stand over its panel. The larger a marker, the more of the answers in its bin.
"""

from typing import Any

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import PROBLEMS, caption, counts
from probe.plots._frame import finish, head, name_columns, panels
from probe.plots._marks import key, null_handle, null_stretch, plain_numbers
from probe.plots._replicates import limits
from probe.plots._style import COLUMN, DOUBLE, styled
from probe.plots._systems import System, mark, models, pairs, systems
from probe.plots._words import interval, number, plain, span

SCORES = {"ece": "ECE", "brier": "Brier"}
LARGER = key("larger: more of the answers", "o")


@figures.register("real_calibration")
@styled
def real_calibration(rows: Rows) -> Drawing | None:
    """One panel per system; None where no real system states a confidence."""
    drawn = [s for s in systems(pairs(rows, ("reliability", *SCORES), twins=True)) if s.only("reliability")]
    if not drawn:
        return None
    width = COLUMN if len(drawn) == 1 else DOUBLE
    across = min(len(drawn), 3)
    down = -(-len(drawn) // across)
    figure, axes = panels(down, across, width=width, height=1.9, sharex=True, sharey=True)
    table: list[Row] = [{"mark": "null", "name": "reliability", "level": str(at), "value": at} for at in (0.0, 1.0)]
    for axis, system in zip(axes.flat, drawn, strict=False):
        table += _panel(axis, system, len({other.family for other in drawn}) > 1)
    for axis in axes.flat[len(drawn) :]:
        axis.set_axis_off()
    for axis in axes.flat[: len(drawn)][-across:]:  # the lowest panel of each column
        axis.set_xlabel("stated confidence")
        axis.tick_params(labelbottom=True)
    for axis in axes[:, 0]:
        axis.set_ylabel("accuracy")
    table += [mark(row, s.reward) for s in drawn for name in SCORES for row in s.only(name)]
    return finish(figure, _title(drawn), _caption(drawn), table, [null_handle("calibrated"), LARGER])


def _panel(axes: Axes, system: System, several: bool) -> list[Row]:
    rows = system.only("reliability")
    null_stretch(axes, [0, 1], [0, 1])
    total = sum(row.get("n") or 0 for row in rows)
    for row in rows:
        x, (lo, hi), share = row["null"], limits(row), (row.get("n") or 0) / total if total else 0.2
        if lo == lo and hi == hi:
            axes.plot([x, x], [lo, hi], color=system.look.colour, linewidth=1.1, zorder=4)
        drawn: dict[str, Any] = {"markersize": 3 + 6 * share**0.5, "markeredgewidth": 0, "alpha": 0.8}
        axes.plot(x, row["value"], system.look.marker, color=system.look.colour, zorder=3, **drawn)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    plain_numbers(axes, x=True)
    scores = [(label, row) for name, label in SCORES.items() for row in system.only(name)]
    text = [f"{label} {number(row['value'])} {interval(*limits(row))}" for label, row in scores]
    head(axes, ", ".join(text) or "no score")
    name_columns([axes], [f"{plain(system.family)} {system.look.label}" if several else system.look.label])
    return [mark(row, system.reward) for row in rows]


def _title(drawn: list[System]) -> str:
    errors = [f"{system.look.label} {number(row['value'])}" for system in drawn for row in system.only("ece")]
    text = f"calibration error (ECE) {', '.join(errors)}" if errors else "stated confidence against accuracy"
    return f"{models(drawn)}: {text}"


def _caption(drawn: list[System]) -> str:
    rows = [row for system in drawn for row in (*system.only("ece"), *system.only("brier"))]
    n = span(counts(rows, "n_problems"), "problem") if rows else "n not recorded"
    return caption("accuracy of real outputs by tenth of stated confidence", n, PROBLEMS, "calibrated")
