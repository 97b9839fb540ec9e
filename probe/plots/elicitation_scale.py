"""What does a nat buy? Accuracy against the distance from the base's own answers, for every way of getting others.

One column a kind of organism; above what the base gives without RL (hollow), below RL (large: all weights; small: the
output head alone; hollow: one vector). A mark is a way, mean over bases with t intervals; a small grey one, tied to it,
its null: a random direction as long, a wrong example, a walk as long. The dotted line is the majority of the base's
samples, which has no text and no nats. The title says what RL gives beyond the best of the others (`beyond`). Left out:
greedy answers of what is drawn sampled (in the measurements; the title is about those of runs).
"""

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import of_runs
from probe.plots._frame import finish, name_columns, panels
from probe.plots._marks import key, null_handle, null_line, plain_numbers
from probe.plots._replicates import Mean, means_by, pick
from probe.plots._style import DOUBLE, GREY, Look, reward_look, styled
from probe.plots._words import interval, plain, signed
from probe.stats import holm, seeds_mean

INK = "#000000"
WITHOUT = {
    "T = 1": Look(INK, "o", label="as asked"),
    "T = 0.6": Look(INK, "v", label="T = .6"),
    "T = 0.3": Look(INK, "^", label="T = .3"),
    "greedy": Look(INK, "s", label="greedy"),
    "CoT decoding": Look("#009E73", "p", label="CoT decoding"),
    "forced code": Look("#0072B2", "D", label="code forced"),
    "forced prose": Look("#D55E00", "D", label="prose forced"),
    "steered": Look("#56B4E9", "h", label="steered everywhere"),
    "steered at the fork": Look("#7B4FD6", "<", label="steered at the fork"),
    "one right example": Look("#CC79A7", "P", label="one example"),
}
NULL_OF = {
    "random direction": "steered",
    "random direction at the fork": "steered at the fork",
    "one wrong example": "one right example",
}
MAJORITY, ALL, VECTOR, GREEDY, WALK = "majority", "_all", "_vector", ", greedy", ", walk"
LEVEL = 0.05
Place = tuple[Mean, Mean | None]  # accuracy, nats


@figures.register("elicitation_scale")
@styled
def elicitation_scale(rows: Rows) -> Drawing | None:
    """A column a family, without RL over RL; None where nothing was elicited."""
    nats = means_by(pick(rows, name="nats", side="after"), ("family", "part"))
    families = sorted({mean.key["family"] for mean in nats})
    if not families:
        return None
    ways = [row for row in pick(rows, name="accuracy", side="after") if row.get("part")]
    accuracy = {(mean.key["family"], mean.key["part"]): mean for mean in means_by(ways, ("family", "part"))}
    distance = {(mean.key["family"], mean.key["part"]): mean for mean in nats}
    figure, axes = panels(2, len(families), width=DOUBLE, height=2.0, sharex="col", sharey=True)
    table: list[Row] = []
    for column, family in zip(axes.T, families, strict=True):
        mine = {part: (mean, distance.get((name, part))) for (name, part), mean in accuracy.items() if name == family}
        for axis, is_rl in zip(column, (False, True), strict=True):
            table += _panel(axis, {part: each for part, each in mine.items() if part.startswith("RL ") is is_rl})
            table += _lines(axis, mine)
            plain_numbers(axis, x=True)
        column[1].set_xlabel("distance from the base's own answers (nats a response)")
    name_columns(axes[0], [plain(family) for family in families])
    for axis, what in zip(axes[:, 0], ("without RL", "by RL"), strict=True):
        axis.set_ylabel(f"accuracy, {what}")
    every = list(accuracy.values())
    sizes = "one mark a way; RL small: output head, large: all weights, hollow: one vector"
    text = of_runs(sizes, every, "bars", "the base as asked (dashed), small grey marks")
    return finish(figure, _title(rows), text, table, _legend(every))


def _panel(axes: Axes, ways: dict[str, Place]) -> list[Row]:
    table: list[Row] = []
    for part, (mean, x) in ways.items():
        if part == MAJORITY or part.endswith(GREEDY):
            continue
        owner = NULL_OF.get(part, part.removesuffix(WALK))
        if owner != part and owner in ways:
            ends = (_at(x), _at(ways[owner][1])), (mean.value, ways[owner][0].value)
            axes.plot(*ends, color=GREY, linewidth=0.5, zorder=1)
        _mark(axes, part, mean, x)
        table += [row | {"quantity": "accuracy"} for row in mean.rows()]
        origin: list[Row] = [{**mean.key, "mark": "mean", "value": 0.0}]
        table += [row | {"quantity": "nats"} for row in (x.rows() if x else origin)]
    return table


def _lines(axes: Axes, ways: dict[str, Place]) -> list[Row]:
    """The base as asked, and the majority of its samples."""
    table: list[Row] = []
    for part, mark in ((next(iter(WITHOUT)), "null"), (MAJORITY, MAJORITY)):
        if part not in ways:
            continue
        mean = ways[part][0]
        if part == MAJORITY:
            axes.axhline(mean.value, color=GREY, linewidth=0.8, linestyle=":")
        else:
            null_line(axes, mean.value)
        table.append({**mean.key, "mark": mark, "value": mean.value, "lo": mean.lo, "hi": mean.hi})
    return table


def _mark(axes: Axes, part: str, mean: Mean, x: Mean | None) -> None:
    style, hollow, size = _look(part)
    axes.plot((_at(x), _at(x)), (mean.lo, mean.hi), color=style.colour, linewidth=0.9, zorder=2)
    if x:
        axes.plot((x.lo, x.hi), (mean.value, mean.value), color=style.colour, linewidth=0.9, zorder=2)
    fill = "white" if hollow else style.colour
    axes.plot(_at(x), mean.value, style.marker, color=style.colour, markerfacecolor=fill, markersize=size, zorder=3)
    if mean.n_destroyed:
        axes.plot(_at(x), mean.value, "x", color=INK, markersize=5.5, zorder=4)


def _at(nats: Mean | None) -> float:
    """Where a way stands; the base as asked has no row, and is no distance away."""
    return nats.value if nats else 0.0


def _look(part: str) -> tuple[Look, bool, float]:
    """How a way is drawn: its look, whether hollow, and its size; a null as what it is the null of, small and grey."""
    owner = NULL_OF.get(part, part.removesuffix(WALK))
    if owner != part:
        return Look(GREY, _look(owner)[0].marker), False, 2.6
    if part in WITHOUT:
        return WITHOUT[part], True, 4.6
    name = part.removeprefix("RL ")
    style = reward_look(name.removesuffix(ALL).removesuffix(VECTOR))
    return style, name.endswith(VECTOR), 5.2 if name.endswith((ALL, VECTOR)) else 3.0


def _legend(means: Sequence[Mean]) -> list[Artist]:
    parts = {mean.key["part"] for mean in means}
    found: list[Artist] = [
        key(look.label, look.marker, color=look.colour, markerfacecolor="white")
        for part, look in WITHOUT.items()
        if part in parts
    ]
    runs = [part.removeprefix("RL ") for part in sorted(parts) if part.startswith("RL ") and ", " not in part]
    for name in dict.fromkeys(run.removesuffix(ALL).removesuffix(VECTOR) for run in runs):
        found.append(key(f"RL {reward_look(name).label}", reward_look(name).marker, color=reward_look(name).colour))
    found.append(key("majority", linestyle=":", linewidth=0.8, color=GREY))
    if parts & NULL_OF.keys() or any(part.endswith(WALK) for part in parts):
        found.append(key("null of the way it is tied to", "o", color=GREY, markersize=2.6))
    return [*found, null_handle("the base as asked")]


def _title(rows: Rows) -> str:
    """What RL gives, greedy, beyond the best way without it, where that is clear after Holm over all of them."""
    found = means_by(pick(rows, name="beyond", temperature=0.0), ("family", "reward"))
    tested = [mean for mean in found if len(mean.replicates) > 1]
    p = [seeds_mean(mean.replicates, name="beyond", null=0.0).p for mean in tested]
    clear = (
        [m for m, q in zip(tested, holm([1.0 if x is None else x for x in p]), strict=True) if q < LEVEL] if p else []
    )
    beyond = [mean for mean in clear if mean.value > 0]
    if not beyond:
        return f"Greedy, no run gives clearly more than the best way without RL ({len(found)} kinds of runs)"
    most = max(beyond, key=lambda mean: mean.value)
    told = (
        f"{plain(most.key['reward'])} on {plain(most.key['family'])} {signed(most.value)} {interval(most.lo, most.hi)}"
    )
    return (
        f"Greedy, {len(beyond)} of {len(found)} kinds of runs give more than the best way without RL, the most {told}"
    )
