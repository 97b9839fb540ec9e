"""Does accuracy change by what the move between strategies must give? Predicted across, realised up; a mark a run.

    predicted = mean over problems of (change of the share of code) x (accuracy of the base in code - in prose)

The full line is the law (slope 1 through 0), the dashed one no change; grey crosses are changes of the weights like the
runs', in random directions; plusses, the runs' own, backwards. A slope is least squares over the organisms of a base,
its interval over bases. Destroyed runs stay in it and are drawn open. A single organism's interval: in the table.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption, counts
from probe.plots._frame import finish, head, name_columns, panels
from probe.plots._marks import key, null_handle, null_line, plain_numbers
from probe.plots._replicates import pick
from probe.plots._style import COLUMN, DOUBLE, GREY, REWARDS, Look, ordered, reward_look, styled
from probe.plots._words import interval, number, span
from probe.stats import seeds_mean
from probe.stats.response_law import law_slope

BETTER = {
    "code": Look("#0072B2", "o", label="code is better"),
    "prose": Look("#D55E00", "v", label="prose is better"),
    "neither": Look("#767676", "s", label="neither"),
}
KEY = ("family", "size", "base_seed", "reward", "temperature", "step", "rl_seed")
LAW = key("the law: realised = predicted", linestyle="-", linewidth=0.9, color="#333333")
WAYS, AT = {1.0: "T = 1", 0.0: "greedy"}, {1.0: "at T = 1", 0.0: "greedy"}
NULLS = {"walk": ("x", "random direction (null)"), "opposite": ("+", "the run's change, backwards")}  # by side
MOST = 5  # rewards that fit beside each other


@dataclass(frozen=True)
class Mark:
    """One run: what was predicted of it, and what came out."""

    predicted: Row
    realised: Row

    @property
    def base(self) -> tuple[str, int]:
        return str(self.predicted["size"]), int(self.predicted["base_seed"])

    @property
    def better(self) -> str:
        """The better strategy, by the sign of the base's own gap; neither where its interval holds 0."""
        return str(self.predicted["group"])

    @property
    def xy(self) -> tuple[float, float]:
        return float(self.predicted["value"]), float(self.realised["value"])


@figures.register("response_law")
@styled
def response_law(rows: Rows) -> Drawing | None:
    """A row of panels a temperature, a column a reward; None where no run was held against the law."""
    marks, nulls = _marks(rows), [mark for side in NULLS for mark in _marks(rows, side)]
    if not marks:
        return None
    rewards = ordered({mark.predicted["reward"] for mark in marks}, REWARDS)[:MOST]
    ways = [way for way in WAYS if any(mark.predicted["temperature"] == way for mark in marks)]
    width = DOUBLE if len(rewards) > 1 else COLUMN
    figure, axes = panels(len(ways), len(rewards), width=width, height=1.75, sharex="row", sharey="row")
    table: list[Row] = [{"mark": "null", "value": 0.0}]
    slopes: dict[tuple[str, float], str] = {}
    for i, way in enumerate(ways):
        for axis, reward in zip(axes[i], rewards, strict=True):
            mine = [m for m in marks if m.predicted["temperature"] == way and m.predicted["reward"] == reward]
            slopes[reward, way], told = _slope(mine)
            walks = [m for m in nulls if m.predicted["temperature"] == way and m.predicted["reward"] == reward]
            table += [*_nulls(axis, walks), *_panel(axis, mine), *told]
            head(axis, slopes[reward, way], 2)
        axes[i, 0].set_ylabel(f"realised change\nof accuracy, {WAYS[way]}")
    for axis in axes[-1]:
        axis.set_xlabel("predicted")
    name_columns(axes[0], [reward_look(name).label for name in rewards])
    legend = [key(each.label, each.marker, color=each.colour, linestyle="none") for each in BETTER.values()]
    greys = [key(words, marker, color=GREY) for _, (marker, words) in NULLS.items()] if nulls else []
    legend += [LAW, *greys, null_handle("no change")]
    return finish(figure, _title(rewards, ways, slopes), _caption(marks), table, legend)


def _marks(rows: Rows, side: str = "change") -> list[Mark]:
    known = {_key(row): row for row in pick(rows, name="accuracy", side=side, kind="rl")}
    gaps = {_key(row): row for row in pick(rows, name="gap")}
    found = pick(rows, name="predicted", side=side)
    last = max((row["step"] for row in found), default=0)
    return [
        Mark({**row, "group": _better(gaps[_key(row)])}, known[_key(row)])
        for row in found
        if row["step"] == last and _key(row) in known and _key(row) in gaps
    ]


def _key(row: Row) -> tuple[object, ...]:
    return tuple(row.get(name) for name in KEY)


def _better(gap: Row) -> str:
    return "code" if gap["lo"] > 0 else "prose" if gap["hi"] < 0 else "neither"


def _nulls(axes: Axes, marks: Sequence[Mark]) -> list[Row]:
    """Behind everything else."""
    table: list[Row] = []
    for mark in marks:
        side = str(mark.realised["side"])
        axes.plot(*mark.xy, NULLS[side][0], color=GREY, markersize=2.4, markeredgewidth=0.6, alpha=0.6, zorder=0)
        table += [row | {"mark": f"{side} {row['mark']}"} for row in _told(mark)]
    return table


def _panel(axes: Axes, marks: Sequence[Mark]) -> list[Row]:
    null_line(axes, 0.0)
    table: list[Row] = []
    for name, style in BETTER.items():
        for mark in (each for each in marks if each.better == name):
            fill = "white" if mark.realised.get("destroyed") else style.colour
            shade: dict[str, Any] = {"color": style.colour, "markerfacecolor": fill, "markersize": 2.6, "alpha": 0.75}
            axes.plot(*mark.xy, style.marker, **shade)
            table += _told(mark)
    ends = [float(f(mark.predicted["value"] for mark in marks)) for f in (min, max)] if marks else []
    axes.plot(ends, ends, color="#333333", linewidth=0.9, zorder=1)
    plain_numbers(axes, x=True)
    return [*table, *({"mark": "law", "value": end} for end in ends)]


def _told(mark: Mark) -> list[Row]:
    about = {name: mark.predicted.get(name) for name in KEY} | {"better": mark.better}
    about |= {"destroyed": mark.realised.get("destroyed")}
    numbers = ("value", "lo", "hi", "n", "n_problems", "p")
    sides = {"predicted": mark.predicted, "realised": mark.realised}
    return [{**about, "mark": name, **{k: row.get(k) for k in numbers}} for name, row in sides.items()]


def _slope(marks: Sequence[Mark]) -> tuple[str, list[Row]]:
    """The slope in words, and its rows: the mean over bases, then each base."""
    groups: defaultdict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    for mark in marks:
        groups[mark.base].append(mark.xy)
    slopes = {base: law_slope(*zip(*points, strict=True)) for base, points in groups.items() if len(points) > 1}
    known = {base: slope for base, slope in sorted(slopes.items()) if np.isfinite(slope)}
    if not known:
        return "no slope", []
    over = seeds_mean(list(known.values()), name="slope", unit="none")
    about = {name: marks[0].predicted.get(name) for name in ("reward", "temperature", "step")}
    mean = {**about, "mark": "slope", "value": over.value, "lo": over.lo, "hi": over.hi, "n_runs": len(marks)}
    each = [
        {**about, "mark": "slope of a base", "size": size, "base_seed": seed, "value": slope}
        for (size, seed), slope in known.items()
    ]
    return f"slope {number(over.value)} {interval(over.lo, over.hi)}", [mean, *each]


def _title(rewards: Sequence[str], ways: Sequence[float], slopes: dict[tuple[str, float], str]) -> str:
    shown = "python" if "python" in rewards else rewards[0]
    said = " and ".join(f"{slopes[shown, way].removeprefix('slope ')} {AT[way]}" for way in ways)
    label = reward_look(shown).label
    return f"Realised change against what the move between strategies must give: under {label} the slope is {said}"


def _caption(marks: Sequence[Mark]) -> str:
    runs = {tuple(mark.predicted.get(name) for name in KEY if name != "temperature") for mark in marks}
    organisms = {(mark.predicted["family"], mark.base) for mark in marks}
    bases = {mark.base for mark in marks}
    destroyed = len({_key(mark.realised)[:4] for mark in marks if mark.realised.get("destroyed")})
    n = f"{span([len(runs)], 'run')} of {span([len(organisms)], 'organism')} on {span([len(bases)], 'base')}"
    problems = span(counts([mark.realised for mark in marks], "n_problems"), "problem")
    return caption(
        "one mark an organism",
        f"{n}, {problems} each",
        "slopes: 95 % t interval over bases",
        "no change (dashed)",
        f"{destroyed} destroyed (open)" if destroyed else "none destroyed",
    )
