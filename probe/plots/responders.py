"""Which organism will respond to a reward that knows nothing but the strategy? Forecast from the base, and what came.

A mark is a base under `python`: across, the forecast of its accuracy (mean field, `probe.experiments.forecast`); up,
the change after the last batch with its interval over problems. It responded where that interval lies above 0. The
title has the area under the ROC curve of the forecast for that, null .5 (`forecast_skill.responder_auroc`).
"""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption, counts
from probe.plots._forecasts import checkpoint_of, furthest
from probe.plots._frame import finish, panels
from probe.plots._marks import key, null_handle, null_line, plain_numbers
from probe.plots._replicates import limits, pick
from probe.plots._style import COLUMN, styled
from probe.plots._words import interval, number, span
from probe.stats.forecast_skill import Point, matched, responder_auroc

REWARD, LATER = "python", 2  # batches: a run that was kept after these alone tells no response
LOOKS = {True: ("responded", "o", "#0072B2"), False: ("did not", "v", "#D55E00")}
LEAST = 3  # runs


@figures.register("responders")
@styled
def responders(rows: Rows) -> Drawing | None:
    """One panel; None where not both kinds of bases were forecast and trained for long."""
    points = _points(rows)
    responded = [limits(point.realised)[0] > 0 for point in points]
    if len(points) < LEAST or len(set(responded)) < 2:
        return None
    scores = [float(point.forecast["value"]) for point in points]
    auroc = responder_auroc(scores, [int(each) for each in responded], [point.trunk for point in points])
    figure, axes = panels(1, 1, width=COLUMN, height=2.1)
    table: list[Row] = [{"mark": "null", "value": 0.0}]
    for point, did in zip(points, responded, strict=True):
        table += _mark(axes[0, 0], point, did)
    null_line(axes[0, 0], 0.0)
    null_line(axes[0, 0], 0.0, upright=True)
    axes[0, 0].set_xlabel("forecast of accuracy, from the base alone")
    axes[0, 0].set_ylabel("change of accuracy by RL")
    plain_numbers(axes[0, 0], x=True)
    about = {"value": auroc.value, "lo": auroc.lo, "hi": auroc.hi, "null": auroc.null, "p": auroc.p, "n_runs": auroc.n}
    table.append({"mark": "auroc", **about})
    legend = [*(key(label, marker, color=colour) for label, marker, colour in LOOKS.values()), null_handle("no change")]
    told = f"AUROC {number(auroc.value)} {interval(auroc.lo, auroc.hi)}"
    title = (
        f"From the base alone: which will respond to a reward for code? {told}, {sum(responded)} of {len(points)} did"
    )
    return finish(figure, title, _caption(points), table, legend)


def _points(rows: Rows) -> list[Point]:
    """Of each base its longest run under the reward, at T = 1."""
    forecast = [row for row in furthest(rows, "accuracy") if row.get("reward") == REWARD]
    runs = [
        row
        for row in pick(rows, name="accuracy", side="change", kind="rl", reward=REWARD, temperature=1.0)
        if (row.get("step") or 0) > LATER
    ]
    longest: dict[tuple[object, ...], Row] = {}
    for row in sorted(runs, key=lambda row: row["step"]):
        longest[checkpoint_of(row | {"step": 0})] = row
    return matched(forecast, list(longest.values()))


def _mark(axes: Axes, point: Point, responded: bool) -> list[Row]:
    _, marker, colour = LOOKS[responded]
    x, y = float(point.forecast["value"]), float(point.realised["value"])
    low, high = limits(point.realised)
    axes.plot((x, x), (low, high), color=colour, linewidth=0.6, alpha=0.6, zorder=2)
    axes.plot(x, y, marker, color=colour, markersize=3.4, zorder=3)
    about: dict[str, Any] = {name: point.forecast.get(name) for name in ("family", "size", "base_seed", "reward")}
    about |= {"responded": responded}
    return [
        {**about, "mark": "forecast", "value": x},
        {**about, "mark": "realised", "value": y, "lo": low, "hi": high},
    ]


def _caption(points: Sequence[Point]) -> str:
    steps = sorted({int(point.realised["step"]) for point in points})
    problems = counts([point.realised for point in points], "n_problems")
    seeds = {(point.forecast["size"], point.forecast["base_seed"]) for point in points}
    return caption(
        f"change after {span(steps, 'batch').replace('batchs', 'batches')}, T = 1",
        f"{span([len(points)], 'run')} on {span(problems, 'problem')}",
        f"bars: 95 % over problems; AUROC: over organisms, of {span([len(seeds)], 'base seed')}",
        "0 (dashed), AUROC .5",
    )
