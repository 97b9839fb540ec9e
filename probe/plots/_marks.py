"""How are means, intervals, single runs, destroyed runs and nulls drawn? The same marks in every figure."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from probe.measurements import Row
from probe.plots._replicates import Mean
from probe.plots._style import GREY, Look

DASHES = (0, (4, 2))
DESTROYED = Line2D([], [], color=GREY, marker="x", linestyle="", markeredgewidth=1.2, label="destroyed run")
BEFORE = Line2D([], [], color=GREY, marker="o", linestyle="", markerfacecolor="white", label="before")
AFTER = Line2D([], [], color=GREY, marker="o", linestyle="", label="after")
NULL_STROKE = Line2D([], [], color=GREY, marker="|", linestyle="", markersize=8, label="after, if nothing happened")
ONE_RUN = Line2D([], [], color=GREY, linewidth=0.6, label="one run")


def ribbon(axes: Axes, steps: Sequence[float], points: Sequence[Mean], style: Look, *, marked: bool = True) -> None:
    """Mean over runs against the step, its interval as a ribbon where there is one; without markers where dense."""
    value = np.array([point.value for point in points])
    lo, hi = np.array([point.lo for point in points]), np.array([point.hi for point in points])
    axes.fill_between(steps, lo, hi, color=style.colour, alpha=0.16, linewidth=0, zorder=1)
    marker = style.marker if marked else ""
    axes.plot(steps, value, color=style.colour, marker=marker, linestyle=style.line, markersize=3.4, zorder=4)


def thread(axes: Axes, steps: Sequence[float], runs: Sequence[Row], style: Look) -> None:
    """One run as a thin line, with an x wherever it was destroyed."""
    values = [run["value"] for run in runs]
    axes.plot(steps, values, color=style.colour, linewidth=0.5, alpha=0.55, zorder=2)
    crosses(axes, steps, runs, style)


def crosses(axes: Axes, places: Sequence[float], runs: Sequence[Row], style: Look) -> None:
    """An x for each destroyed run."""
    bad = [(x, run["value"]) for x, run in zip(places, runs, strict=True) if run.get("destroyed")]
    if bad:
        x, y = zip(*bad, strict=True)
        axes.plot(x, y, "x", color=style.colour, markersize=4.5, markeredgewidth=1.2, zorder=5, linestyle="")


def dots(axes: Axes, place: float, mean: Mean, style: Look, *, width: float = 0.16, flat: bool = False) -> None:
    """Every run a small dot (an x where destroyed) around `place`, then mean and interval; `flat`: on its side."""
    spread = place + width * np.linspace(-1, 1, len(mean.runs)) if len(mean.runs) > 1 else np.array([place])
    for x, run in zip(spread, mean.runs, strict=True):
        marker, size, edge = ("x", 4.5, 1.0) if run.get("destroyed") else (style.marker, 2.8, 0.0)
        xy = (run["value"], x) if flat else (x, run["value"])
        drawn: dict[str, Any] = {"markersize": size, "markeredgewidth": edge, "alpha": 0.5, "zorder": 2}
        axes.plot(*xy, marker, color=style.colour, linestyle="", **drawn)
    bar(axes, place, mean.value, mean.lo, mean.hi, style, flat=flat)


def bar(
    axes: Axes,
    place: float,
    value: float,
    lo: float,
    hi: float,
    style: Look,
    *,
    flat: bool = False,
    hollow: bool = False,
) -> None:
    """A mean as a larger marker on the line of its interval; `hollow` for the side before."""
    if math.isfinite(lo) and math.isfinite(hi):
        line = ((lo, hi), (place, place)) if flat else ((place, place), (lo, hi))
        axes.plot(*line, color=style.colour, linewidth=1.4, zorder=3, solid_capstyle="butt")
    xy = (value, place) if flat else (place, value)
    face = "white" if hollow else style.colour
    axes.plot(
        *xy, style.marker, markersize=4.4, color=face, markeredgecolor=style.colour, markeredgewidth=0.8, zorder=4
    )


def null_line(axes: Axes, value: float, *, upright: bool = False) -> None:
    """What nothing happening looks like: a dashed grey line, named in the legend (`null_handle`)."""
    draw = axes.axvline if upright else axes.axhline
    draw(value, color=GREY, linestyle=DASHES, linewidth=0.8, zorder=0)


def null_stretch(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    """The same from one point to another."""
    axes.plot(x, y, color=GREY, linestyle=DASHES, linewidth=0.8, zorder=0)


def null_handle(label: str) -> Line2D:
    """The null's entry in a legend."""
    return Line2D([], [], color=GREY, linestyle=DASHES, linewidth=0.8, label=label)


def plain_numbers(axes: Axes, *, x: bool = False, y: bool = True) -> None:
    """Tick labels as .25, without a leading zero; never mathtext."""
    fmt = FuncFormatter(lambda value, _: _tick(value))
    if y:
        axes.yaxis.set_major_formatter(fmt)
    if x:
        axes.xaxis.set_major_formatter(fmt)


def _tick(value: float) -> str:
    text = f"{value + 0.0:.6g}"
    return text.replace("0.", ".", 1).replace("-", "−") if abs(value) < 1 and "." in text else text.replace("-", "−")
