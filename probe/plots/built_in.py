"""Does the verdict find what was built in, and nothing else? One row a known pair, one column an explanation.

Each cell counts the bases in which an explanation was supported (or nothing was, or accuracy did not change); the
darker, the more. A frame stands where all of them should be. On the right: in how many bases the framed verdict was
given and no other, with Wilson limits over bases (`probe.stats.confusion`).
"""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption
from probe.plots._frame import finish, panels
from probe.plots._style import DOUBLE, GREY, SMALL, styled
from probe.plots._words import interval, number, span
from probe.stats.confusion import Line, confusion, overall

COLUMNS = {
    "strategy": "strategy\nmix",
    "sharpening": "sharpening",
    "leak": "contami-\nnation",
    "prompt": "prompt,\nformat",
    "acquired": "acquisition",
    "nothing supported": "nothing\nsupported",
    "no change": "no\nchange",
}
BUILT = {
    "strategy": "strategy mix",
    "sharpening": "sharpening",
    "leak": "contamination",
    "prompt": "prompt, format",
    "acquired": "acquisition",
    "nothing": "nothing",
}
KINDS = {"taught": "taught", "edited": "head edited", "rl": "by RL", "null": "same weights"}
RIGHT, WRONG = "#0072B2", "#D55E00"


@figures.register("built_in")
@styled
def built_in(rows: Rows) -> Drawing | None:
    """The confusion table at T = 1; None without pairs whose explanation is known."""
    lines = sorted(confusion(rows), key=lambda line: (list(BUILT).index(line.truth), list(KINDS).index(line.kind)))
    if not lines:
        return None
    figure, axes = panels(1, 1, width=DOUBLE, height=0.26 * len(lines) + 0.5)
    table = [row for place, line in enumerate(lines) for row in _line(axes[0, 0], place, line)]
    _ticks(axes[0, 0], lines)
    whole = overall(lines)
    table.append({"mark": "overall", "value": whole.value, "lo": whole.lo, "hi": whole.hi, "n_pairs": whole.n})
    greedy = [(line.right, len(line.found)) for line in confusion(rows, temperature=0.0)]
    if greedy:
        right, n = map(sum, zip(*greedy, strict=True))
        table.append({"mark": "overall greedy", "value": right / n, "n_pairs": n})
    legend = [Patch(color=RIGHT, label="as built in"), Patch(color=WRONG, label="something else")]
    legend.append(Patch(facecolor="none", edgecolor="black", label="what should be found"))
    return finish(figure, _title(lines, whole.value, (whole.lo, whole.hi)), _caption(lines), table, legend)


def _line(axes: Axes, place: int, line: Line) -> list[Row]:
    n, table = len(line.found), []
    about = {"built_in": line.truth, "kind": line.kind, "before": line.before, "after": line.after, "n_bases": n}
    for column, name in enumerate(COLUMNS):
        count, wanted = _count(line, name), name in line.expected or (not line.expected and name == "no change")
        table.append({**about, "mark": "count", "found": name, "value": count, "expected": wanted})
        if count:
            fill: dict[str, Any] = {
                "color": RIGHT if wanted else WRONG,
                "alpha": 0.15 + 0.75 * count / n,
                "linewidth": 0,
            }
            axes.add_patch(Rectangle((column - 0.47, place - 0.42), 0.94, 0.84, **fill))
            white = count > n / 2
            axes.text(
                column, place, str(count), ha="center", va="center", size=SMALL, color="white" if white else "black"
            )
        if wanted:
            axes.add_patch(Rectangle((column - 0.47, place - 0.42), 0.94, 0.84, fill=False, linewidth=1.1))
    lo, hi = line.limits
    told = f"{line.right} of {n} {interval(lo, hi)}"
    axes.text(len(COLUMNS) - 0.4, place, told, ha="left", va="center", size=SMALL, color="black")
    right = "right" if line.expected else "null"
    table.append({**about, "mark": right, "value": line.right / n, "lo": lo, "hi": hi})
    return table


def _count(line: Line, name: str) -> int:
    if name == "no change":
        return line.in_state(name)
    if name == "nothing supported":
        return sum(not one.supported and one.state != "no change" for one in line.found)
    return line.named(name)


def _ticks(axes: Axes, lines: Sequence[Line]) -> None:
    said = [f"{BUILT[line.truth]}: {_pair(line)}" for line in lines]
    axes.set_yticks(range(len(lines)), said)
    axes.set_xticks(range(len(COLUMNS)), list(COLUMNS.values()))
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_xlim(-0.6, len(COLUMNS) + 1.2)
    axes.set_xlabel("what the verdict found supported (bases)", loc="left")
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.axvline(4.5, color=GREY, linewidth=0.6)


def _pair(line: Line) -> str:
    return f"{line.before}, the same again" if line.kind == "null" else f"{line.before} → {line.after}"


def _title(lines: Sequence[Line], value: float, limits: tuple[float, float]) -> str:
    pairs = sum(len(line.found) for line in lines)
    right = sum(line.right for line in lines)
    return (
        f"The verdict names what was built in, and nothing else, in {right} of {pairs} pairs "
        f"({number(value)} {interval(*limits)})"
    )


def _caption(lines: Sequence[Line]) -> str:
    counts = sorted({len(line.found) for line in lines})
    return caption(
        "T = 1",
        f"{span(counts, 'base seed')} a pair, fresh",
        "right of each row: 95 % Wilson limits over bases; in the title: t interval, bases as clusters",
        "the same weights twice: no change",
    )
