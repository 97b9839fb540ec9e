"""Does stated confidence say how often the answer is right, before and after RL? Reliability diagrams of real systems.

Accuracy per bin of stated confidence against the bin's mean confidence; calibrated answers lie on the dashed diagonal.
ECE and Brier score of each system stand over its panel. The larger a marker, the more of the answers in its bin.
"""

from typing import Any

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import join
from probe.plots._frame import finish, head, name_columns, panels
from probe.plots._marks import null_handle, null_stretch, plain_numbers
from probe.plots._replicates import limits
from probe.plots._style import COLUMN, DOUBLE, styled
from probe.plots._systems import System, mark, models, pairs, systems
from probe.plots._words import interval, number, plain

SCORES = {"ece": "ECE", "brier": "Brier"}


@figures.register("real_calibration")
@styled
def real_calibration(rows: Rows) -> Drawing | None:
    """One panel per system; None where no real system states a confidence."""
    found = [s for s in systems(pairs(rows, ("reliability", *SCORES), twins=True)) if s.only("reliability")]
    if not found:
        return None
    width = COLUMN if len(found) == 1 else DOUBLE
    across = min(len(found), 3)
    down = -(-len(found) // across)
    figure, axes = panels(down, across, width=width, height=1.9, sharex=True, sharey=True)
    table: list[Row] = [{"mark": "null", "name": "reliability", "level": str(at), "value": at} for at in (0.0, 1.0)]
    for axis, system in zip(axes.flat, found, strict=False):
        table += _panel(axis, system, len({other.family for other in found}) > 1)
    for axis in axes.flat[len(found) :]:
        axis.set_axis_off()
    for axis in axes.flat[: len(found)][-across:]:  # the lowest panel of each column
        axis.set_xlabel("stated confidence")
        axis.tick_params(labelbottom=True)
    for axis in axes[:, 0]:
        axis.set_ylabel("accuracy")
    table += [mark(row, s.reward) for s in found for name in SCORES for row in s.only(name)]
    return finish(figure, _title(found), _caption(found), table, [null_handle("calibrated")])


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
    head(axes, ", ".join(_scores(system)) or "no score")
    name_columns([axes], [f"{plain(system.family)} {system.look.label}" if several else system.look.label])
    return [mark(row, system.reward) for row in rows]


def _scores(system: System) -> list[str]:
    return [f"{label} {number(row['value'])}" for name, label in SCORES.items() for row in system.only(name)]


def _title(found: list[System]) -> str:
    told = [f"{system.look.label} {number(row['value'])}" for system in found for row in system.only("ece")]
    said = f"calibration error (ECE) {', '.join(told)}" if told else "stated confidence against accuracy"
    return f"{models(found)}: {said}"


def _caption(found: list[System]) -> str:
    held = [(system, name, row) for system in found for name in SCORES for row in system.only(name)]
    scores = [f"{s.look.label} {SCORES[name]} {number(row['value'])} {interval(*limits(row))}" for s, name, row in held]
    return join(
        "Real outputs: accuracy per bin of stated confidence (10 bins) at the bin's mean confidence.",
        "Bars: 95 % intervals clustered by problem; a larger marker: more of the answers.",
        f"95 % intervals: {'; '.join(scores)}." if scores else "",
    )
