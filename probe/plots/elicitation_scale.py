"""What does a nat buy? Accuracy against the distance from the base's own answers, for every way of getting others.

One panel a kind of organism; a mark is a way, mean over bases with t intervals: hollow what the base gives when it is
asked otherwise, filled RL (large: all weights; small: the output head alone). The dotted line is the majority of its
samples, which has no text and no nats. The title says what RL gives beyond the best of the others (`beyond`).
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

ASKED = {
    "T = 1": Look(GREY, "o", label="as asked"),
    "T = 0.6": Look(GREY, "v", label="T = .6"),
    "T = 0.3": Look(GREY, "^", label="T = .3"),
    "greedy": Look(GREY, "s", label="greedy"),
    "forced code": Look("#0072B2", "D", label="code forced"),
    "forced prose": Look("#D55E00", "D", label="prose forced"),
}
MAJORITY, ALL, GREEDY = "majority", "_all", ", greedy"
LEVEL = 0.05


@figures.register("elicitation_scale")
@styled
def elicitation_scale(rows: Rows) -> Drawing | None:
    """A panel a family; None where nothing was elicited."""
    nats = means_by(pick(rows, name="nats", side="after"), ("family", "part"))
    families = sorted({mean.key["family"] for mean in nats})
    if not families:
        return None
    ways = [row for row in pick(rows, name="accuracy", side="after") if row.get("part")]
    accuracy = {(mean.key["family"], mean.key["part"]): mean for mean in means_by(ways, ("family", "part"))}
    figure, axes = panels(1, len(families), width=DOUBLE, height=2.6, sharey=True)
    table: list[Row] = []
    for axis, family in zip(axes[0], families, strict=True):
        distance = {mean.key["part"]: mean for mean in nats if mean.key["family"] == family}
        mine = {part: mean for (name, part), mean in accuracy.items() if name == family}
        table += _panel(axis, mine, distance)
        axis.set_xlabel("distance from the base's own answers (nats a response)")
    name_columns(axes[0], [plain(family) for family in families])
    axes[0, 0].set_ylabel("accuracy")
    every = list(accuracy.values())
    text = of_runs(
        "one mark a way; RL small: output head, large: all weights", every, "bars", "the base as asked (dashed)"
    )
    return finish(figure, _title(rows), text, table, _legend(every))


def _panel(axes: Axes, accuracy: dict[str, Mean], nats: dict[str, Mean]) -> list[Row]:
    table: list[Row] = []
    for part, mean in accuracy.items():
        if part == MAJORITY:
            axes.axhline(mean.value, color=GREY, linewidth=0.8, linestyle=":")
            table.append({**mean.key, "mark": part, "value": mean.value, "lo": mean.lo, "hi": mean.hi})
            continue
        x = nats.get(part)
        at = x.value if x else 0.0
        if part.endswith(GREEDY):
            continue  # a greedy text is as far as it is unlikely: in the table
        style, hollow, size = _look(part)
        axes.plot((at, at), (mean.lo, mean.hi), color=style.colour, linewidth=0.9, zorder=2)
        if x:
            axes.plot((x.lo, x.hi), (mean.value, mean.value), color=style.colour, linewidth=0.9, zorder=2)
        fill = "white" if hollow else style.colour
        axes.plot(at, mean.value, style.marker, color=style.colour, markerfacecolor=fill, markersize=size, zorder=3)
        table += [row | {"quantity": "accuracy"} for row in mean.rows()]
        table += [
            row | {"quantity": "nats"} for row in (x.rows() if x else [{**mean.key, "mark": "mean", "value": 0.0}])
        ]
        if part == next(iter(ASKED)):
            null_line(axes, mean.value)
            table.append({**mean.key, "mark": "null", "value": mean.value})
    plain_numbers(axes, x=True)
    return table


def _look(part: str) -> tuple[Look, bool, float]:
    """How a way is drawn: its look, whether hollow, and its size."""
    if part in ASKED:
        return ASKED[part], True, 4.4
    reward = part.removeprefix("RL ")
    return reward_look(reward.removesuffix(ALL)), False, 5.2 if reward.endswith(ALL) else 3.0


def _legend(means: Sequence[Mean]) -> list[Artist]:
    parts = {mean.key["part"] for mean in means}
    asked: list[Artist] = [
        key(look.label, look.marker, color=look.colour, markerfacecolor="white")
        for part, look in ASKED.items()
        if part in parts
    ]
    trained = [part for part in sorted(parts) if part.startswith("RL ") and not part.endswith(GREEDY)]
    rewards = dict.fromkeys(part.removeprefix("RL ").removesuffix(ALL) for part in trained)
    filled = [
        key(f"RL {reward_look(name).label}", reward_look(name).marker, color=reward_look(name).colour)
        for name in rewards
    ]
    dotted = key("majority", linestyle=":", linewidth=0.8, color=GREY)
    return [*asked, *filled, dotted, null_handle("the base as asked")]


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
        return f"No run gives clearly more than the best way to ask its base ({len(found)} kinds of runs)"
    most = max(beyond, key=lambda mean: mean.value)
    told = (
        f"{plain(most.key['reward'])} on {plain(most.key['family'])} {signed(most.value)} {interval(most.lo, most.hi)}"
    )
    return f"{len(beyond)} of {len(found)} kinds of runs give more than the best way to ask their base, the most {told}"
