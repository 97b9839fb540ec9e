"""Did what was forecast from the base alone come true under RL? Forecast across, realised change up, run by run.

A mark is a base under a reward: the mean over its runs at the first kept step, with a t interval over runs (over
problems where there is one run). R^2 is over runs, its interval over bases (`probe.stats.forecast_skill`);
the dashed line is no change, the full one the fit. Constant rewards, of which nothing is forecast, are left out. Drawn
is the mean field where it was forecast, and told beside it how well the first order alone does: the cheaper forecast.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes

from probe.data import Estimate
from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption, counts
from probe.plots._forecasts import changes, furthest, rewards_in
from probe.plots._frame import finish, head, name_columns, panels
from probe.plots._marks import key, null_handle, null_line, plain_numbers
from probe.plots._replicates import Mean, limits, mean_of, pick
from probe.plots._style import COLUMN, DOUBLE, FAMILIES, GREY, look, ordered, reward_look, styled
from probe.plots._words import interval, number, span
from probe.stats.forecast_skill import Point, matched, skill

SHOWN = ("accuracy", "code_share", "parse_rate")
LEAST, MOST = 3, 4  # runs, for a relation; families that fit beside each other: more are drawn together
TOGETHER = ""
FIT = key("fit, all runs", linestyle="-", linewidth=0.9)


@figures.register("forecast_realised")
@styled
def forecast_realised(rows: Rows) -> Drawing | None:
    """A row of panels a trait, a column a family where they are few; None with fewer than three forecast runs."""
    found = {trait: points for trait in SHOWN if len(points := _points(rows, trait, furthest(rows, trait))) >= LEAST}
    if not found:
        return None
    every = [point for points in found.values() for point in points]
    families = ordered({point.forecast["family"] for point in every}, FAMILIES)
    shown = families if len(families) <= MOST else [TOGETHER]
    width = COLUMN if len(shown) == 1 else DOUBLE
    figure, axes = panels(len(found), len(shown), width=width, height=1.65, sharex="row", sharey="row")
    table: list[Row] = [{"mark": "null", "value": 0.0}]
    skills: dict[str, dict[str, Estimate]] = {}
    for i, (trait, points) in enumerate(found.items()):
        estimates = skill(points, ("forecast realised", trait))
        skills[trait] = {each.name.removeprefix("forecast_skill/"): each for each in estimates}
        table += [_told(trait, what, each) for what, each in skills[trait].items()]
        cheaper = skill(_points(rows, trait, changes(rows, trait)), ("first order", trait))
        first = {each.name.removeprefix("forecast_skill/"): each for each in cheaper}
        table += [_told(trait, f"first order {what}", each) for what, each in first.items()]
        for axis, family in zip(axes[i], shown, strict=True):
            mine = [point for point in points if family in (TOGETHER, point.forecast["family"])]
            table += _panel(axis, trait, mine, _line(points, skills[trait]["slope"].value))
        axes[i, 0].set_ylabel(f"realised, {trait.replace('_', ' ')}")
        head(axes[i, 0], _r2(skills[trait], first), 4)
    name_columns(axes[0], [f"{len(families)} kinds" if f == TOGETHER else look(f, FAMILIES).label for f in shown])
    looks = [reward_look(name) for name in rewards_in([point.forecast for point in every])]
    legend = [*(replace(style, line="").handle() for style in looks), null_handle("no change"), FIT]
    title = _title(next(iter(found)), next(iter(skills.values())))
    return finish(figure, title, _caption(every), table, legend)


def _told(trait: str, what: str, found: Estimate) -> Row:
    """One statistic of a trait."""
    numbers = {"value": found.value, "lo": found.lo, "hi": found.hi, "null": found.null, "p": found.p}
    return {"mark": what, "name": trait, **numbers, "n_runs": found.n, "n_bases": found.n_problems}


def _points(rows: Rows, trait: str, forecasts: Sequence[Row]) -> list[Point]:
    """Runs of rewards that could teach something, at the first kept step of each."""
    forecast = [row for row in forecasts if row.get("kind") != "null"]
    runs = [row for row in pick(rows, name=trait, side="change", kind="rl") if row.get("step")]
    first: dict[tuple[object, ...], int] = {}
    for row in runs:
        first[_run(row)] = min(first.get(_run(row), row["step"]), row["step"])
    return matched(forecast, [row for row in runs if row["step"] == first[_run(row)]])


def _run(row: Row) -> tuple[object, ...]:
    return tuple(row.get(name) for name in ("study", "family", "size", "base_seed", "reward", "clip", "rl_seed"))


def _line(points: Sequence[Point], slope: float) -> list[tuple[float, float]]:
    """Both ends of the fit over all families; none where there is no slope."""
    x, y = (np.array([row["value"] for row in side]) for side in zip(*map(_pair, points), strict=True))
    ends = (float(x.min()), float(x.max())) if np.isfinite(slope) else ()
    return [(end, float(y.mean() + slope * (end - x.mean()))) for end in ends]


def _pair(point: Point) -> tuple[Row, Row]:
    return point.forecast, point.realised


def _panel(axes: Axes, trait: str, points: Sequence[Point], line: Sequence[tuple[float, float]]) -> list[Row]:
    null_line(axes, 0.0)
    table: list[Row] = []
    for cell in dict.fromkeys((point.base, point.reward) for point in points):
        mine = [point for point in points if (point.base, point.reward) == cell]
        table += _mark(axes, trait, mine[0].forecast, mean_of({}, [point.realised for point in mine]))
    if line:
        axes.plot(*zip(*line, strict=True), color=GREY, linewidth=0.9, zorder=1)
        table += [{"mark": "fit", "name": trait, "value": end} for end, _ in line]
    axes.set_xlabel(f"forecast, {trait.replace('_', ' ')}")
    plain_numbers(axes, x=True)
    return table


def _mark(axes: Axes, trait: str, forecast: Row, realised: Mean) -> list[Row]:
    style = reward_look(forecast["reward"])
    x, y = forecast["value"], realised.value
    wide, high = limits(forecast), limits(realised.runs[0]) if len(realised.runs) == 1 else (realised.lo, realised.hi)
    for ends, line in ((wide, "x"), (high, "y")):
        if np.isfinite(ends).all():
            xy = (ends, (y, y)) if line == "x" else ((x, x), ends)
            axes.plot(*xy, color=style.colour, linewidth=0.7, alpha=0.6, zorder=2)
    axes.plot(x, y, style.marker, color=style.colour, markersize=4, zorder=3)
    told = {name: forecast.get(name) for name in ("family", "size", "base_seed", "reward", "part")}
    drawn = {"predicted": (x, *wide), "realised": (y, *high)}
    counted = {"n_runs": len(realised.runs), "name": trait}
    return [
        {**told, **counted, "mark": mark, "value": value, "lo": lo, "hi": hi} for mark, (value, lo, hi) in drawn.items()
    ]


def _r2(found: dict[str, Estimate], first: dict[str, Estimate]) -> str:
    r2, sign = found["r2"], found["sign"]
    p = "" if r2.p is None else f", p {number(r2.p)}" if r2.p >= 0.005 else ", p < .01"
    shown = f"R² {number(r2.value)} {interval(r2.lo, r2.hi)}{p}, n = {r2.n}"
    chance = number(sign.null if sign.null is not None else np.nan)
    return f"{shown}; signs agree {number(sign.value)} (chance {chance}); first order R² {number(first['r2'].value)}"


def _title(trait: str, found: dict[str, Estimate]) -> str:
    r2 = found["r2"]
    what = trait.replace("_", " ")
    runs, bases = span([r2.n], "run"), span([r2.n_problems], "base")
    explained = f"R² {number(r2.value)} {interval(r2.lo, r2.hi)}, n = {runs} from {bases}"
    verb = "tell" if r2.p is not None and r2.p < 0.05 else "do not clearly tell"
    return f"Forecasts from the base alone {verb} how {what} changes under RL: {explained}"


def _caption(points: Sequence[Point]) -> str:
    steps = sorted({int(point.realised["step"]) for point in points})
    problems = counts([point.realised for point in points], "n_problems")
    runs = len({(point.base, point.reward, point.realised.get("rl_seed")) for point in points})
    n = f"{span([runs], 'run')} on {span(problems, 'problem')}"
    drawn = f"forecast and realised change after {span(steps, 'RL batch').replace('batchs', 'batches')}"
    return caption(
        drawn,
        n,
        "bars: 95 % interval (forecast: problems; realised: runs)",
        "forecasts shuffled",
    )
