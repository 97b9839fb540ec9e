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

DASHES, DOTS = (0, (4, 2)), (0, (1, 3))


def key(label: str, marker: str = "", **style: Any) -> Line2D:
    """A grey entry of a legend: a mark, or (without one) a remark on how to read the figure."""
    return Line2D([], [], **({"color": GREY, "marker": marker, "linestyle": "", "label": label} | style))


def band_key(label: str, width: float) -> Line2D:
    """The entry of `null_band`."""
    return key(label, linestyle="-", alpha=0.35, linewidth=width)


DESTROYED = key("destroyed run (kept in the mean)", "x", markeredgewidth=1.2)
BEFORE = key("before", "o", markerfacecolor="white")
AFTER = key("after", "o")
ONE_RUN = key("one run", linestyle="-", linewidth=0.6)
ONE_SEED = key("one base seed", "o", markersize=2.6, alpha=0.6)


def destroyed_key(rows: Sequence[Row]) -> list[Line2D]:
    """The cross, where some run was destroyed."""
    return [DESTROYED] if any(row.get("destroyed") for row in rows) else []


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
    bad = [(x, run["value"]) for x, run in zip(steps, runs, strict=True) if run.get("destroyed")]
    if bad:
        x, y = zip(*bad, strict=True)
        axes.plot(x, y, "x", color=style.colour, markersize=4.5, markeredgewidth=1.2, zorder=5, linestyle="")


def dots(axes: Axes, place: float, mean: Mean, style: Look, *, width: float = 0.16, flat: bool = False) -> None:
    """Every run a small dot (an x where destroyed) around `place`, then mean and interval; `flat`: on its side."""
    _around(axes, place, mean.runs, style, width, flat, {"markersize": 2.8, "markeredgewidth": 0.0, "alpha": 0.5})
    bar(axes, place, mean.estimate, style, flat=flat)


def seed_marks(
    axes: Axes, place: float, mean: Mean, style: Look, *, width: float, flat: bool = False, hollow: bool = False
) -> None:
    """The same of base seeds, smaller; a mean of one is but its own mark."""
    small = {"markersize": 2.2, "markeredgewidth": 0.4, "alpha": 0.55, **({"color": "white"} if hollow else {})}
    _around(axes, place, mean.runs if len(mean.runs) > 1 else (), style, width, flat, small)
    bar(axes, place, mean.estimate, style, flat=flat, hollow=hollow)


def _around(
    axes: Axes, place: float, runs: Sequence[Row], style: Look, width: float, flat: bool, small: dict[str, Any]
) -> None:
    offsets = np.linspace(-1, 1, len(runs)) if len(runs) > 1 else np.zeros(len(runs))
    for x, run in zip(place + width * offsets, runs, strict=True):
        cross: dict[str, Any] = {"markersize": 4.5, "markeredgewidth": 1.0} if run.get("destroyed") else {}
        xy = (run["value"], x) if flat else (x, run["value"])
        drawn: dict[str, Any] = {"color": style.colour, "markeredgecolor": style.colour, "linestyle": "", "zorder": 2}
        axes.plot(*xy, "x" if cross else style.marker, **(drawn | small | cross))


def bar(
    axes: Axes, place: float, of: tuple[float, float, float], style: Look, *, flat: bool = False, hollow: bool = False
) -> None:
    """A mean as a larger marker on the line of its interval (value, lo, hi); `hollow` for the side before."""
    value, lo, hi = of
    if math.isfinite(lo) and math.isfinite(hi):
        line = ((lo, hi), (place, place)) if flat else ((place, place), (lo, hi))
        axes.plot(*line, color=style.colour, linewidth=1.4, zorder=3, solid_capstyle="butt")
    xy = (value, place) if flat else (place, value)
    drawn: dict[str, Any] = {"markersize": 4.4, "markeredgecolor": style.colour, "markeredgewidth": 0.8, "zorder": 4}
    axes.plot(*xy, style.marker, color="white" if hollow else style.colour, **drawn)


def null_line(axes: Axes, value: float, *, upright: bool = False) -> None:
    """What nothing happening looks like: a dashed grey line, named in the legend (`null_handle`)."""
    draw = axes.axvline if upright else axes.axhline
    draw(value, color=GREY, linestyle=DASHES, linewidth=0.8, zorder=0)


def null_stretch(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    """The same from one point to another."""
    axes.plot(x, y, color=GREY, linestyle=DASHES, linewidth=0.8, zorder=0)


def null_band(axes: Axes, place: float, limits: tuple[float, float], width: float, alpha: float = 0.35) -> None:
    """An upright stroke from one limit of a null to the other."""
    axes.plot((place, place), limits, color=GREY, alpha=alpha, linewidth=width, zorder=1, solid_capstyle="butt")


def null_handle(label: str) -> Line2D:
    """The null's entry in a legend."""
    return key(label, linestyle=DASHES, linewidth=0.8)


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
