"""Which predictions came true? Each as it was written down before the run, beside what was found.

Grey: the region that was predicted. Bar: the mean over bases with an interval that holds for all predictions at once
(Bonferroni over them); small marks: each base. Inside: holds; apart: fails; else undecided (`probe.stats.predictions`).
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption
from probe.plots._frame import finish, panels
from probe.plots._marks import key, null_handle, null_line, plain_numbers
from probe.plots._style import DOUBLE, GREY, styled
from probe.plots._words import listing, span
from probe.stats.predictions import Judged, cells_of, judge, slope

REGION = "#DDDDDD"
VERDICTS = {"holds": ("#0072B2", "o"), "fails": ("#D55E00", "X"), "undecided": (GREY, "d")}
SLOPE = "slope of realised on predicted change"
SHOWN = {True: (-0.5, 2.0), False: (-0.5, 0.6)}  # the widest that slopes and shares, and changes, are drawn


@figures.register("predictions")
@styled
def predictions(rows: Rows) -> Drawing | None:
    """Those of the factorial; None where no run of it was held against the law."""
    cells = [cell for cell in cells_of(rows) if not cell.family.startswith("planted")]
    return judged([each for each in judge(cells) if each.bases])


def judged(found: Sequence[Judged]) -> Drawing | None:
    """One row a prediction, those of one quantity together, slopes first; None without any."""
    if not found:
        return None
    units = dict.fromkeys(map(_unit, found))
    groups = [[each for each in found if _unit(each) == unit] for unit in sorted(units, key=lambda unit: unit != SLOPE)]
    sizes = [len(group) for group in groups]
    height = 0.26 * sum(sizes) / len(sizes) + 0.45
    figure, axes = panels(len(groups), 1, width=DOUBLE, height=height, height_ratios=[size + 1 for size in sizes])
    table: list[Row] = [{"mark": "null", "value": 0.0}]
    for axis, group in zip(axes[:, 0], groups, strict=True):
        table += _panel(axis, group)
    marks = [key(name, marker, color=colour) for name, (colour, marker) in VERDICTS.items()]
    legend = [*marks, Patch(color=REGION, label="predicted"), null_handle("no effect")]
    return finish(figure, _title(found), _caption(found), table, legend)


def _unit(each: Judged) -> str:
    return SLOPE if each.contrast.of is slope else each.contrast.unit


def _panel(axes: Axes, group: Sequence[Judged]) -> list[Row]:
    table: list[Row] = []
    wide = not _unit(group[0]).startswith("change")
    values = [v for each in group for v in (each.lo, each.hi, *(value for _, value in each.bases)) if isfinite(v)]
    widest = SHOWN[wide]
    ends = max(min([0.0, *values]) - 0.05, widest[0]), min(max([0.0, *values]) + 0.05, widest[1])
    null_line(axes, 0.0, upright=True)
    for place, each in enumerate(group):
        table += _row(axes, -place, each, ends)
    axes.set_xlim(*ends)
    axes.set_ylim(-len(group) + 0.4, 0.6)
    said = [f"{each.contrast.explanation}  {each.contrast.says}" for each in group]
    axes.set_yticks([-place for place in range(len(group))], said)
    axes.set_xlabel(_unit(group[0]))
    plain_numbers(axes, x=True, y=False)
    return table


def _row(axes: Axes, place: float, each: Judged, ends: tuple[float, float]) -> list[Row]:
    colour, marker = VERDICTS[each.verdict]
    left, right = max(each.contrast.low, ends[0]), min(each.contrast.high, ends[1])
    axes.add_patch(Rectangle((left, place - 0.38), right - left, 0.76, color=REGION, linewidth=0, zorder=0))
    axes.plot([value for _, value in each.bases], [place] * len(each.bases), "|", color=colour, markersize=5, alpha=0.6)
    axes.plot([each.lo, each.hi], [place, place], color=colour, linewidth=1.3)
    axes.plot([each.value], [place], marker, color=colour, markersize=4.5)
    about: dict[str, Any] = {"prediction": each.contrast.name, "explanation": each.contrast.explanation}
    about |= {"says": each.contrast.says}
    about |= {name: limit for name in ("low", "high") if isfinite(limit := getattr(each.contrast, name))}
    found = {**about, "mark": "mean", "verdict": each.verdict, "value": each.value, "n_runs": _known(each)}
    found |= {name: limit for name in ("lo", "hi") if isfinite(limit := getattr(each, name))}
    return [
        found,
        *({**about, "mark": "base", "size": size, "base_seed": seed, "value": v} for (size, seed), v in each.bases),
    ]


def _known(each: Judged) -> int:
    """The bases that have a number."""
    return sum(isfinite(value) for _, value in each.bases)


def _title(found: Sequence[Judged]) -> str:
    by = {verdict: [e.contrast.name for e in found if e.verdict == verdict] for verdict in VERDICTS}
    words = {"holds": "hold", "fails": "fail", "undecided": "are undecided"}
    said = listing(f"{len(names)} {words[verdict]}" for verdict, names in by.items() if names)
    failed = f" ({listing(by['fails'])})" if by["fails"] else ""
    return f"Of {len(found)} predictions that were made before the run {said}{failed}"


def _caption(found: Sequence[Judged]) -> str:
    return caption(
        "each prediction is one number a base, over its organisms",
        span(sorted({_known(each) for each in found}), "base seed"),
        "bars: t intervals over bases, 95 % for all at once (Bonferroni); ticks: bases",
        "no effect (dashed)",
    )
