"""Is the path of the weights a line, and does its first quarter say where it ends? Rewards down, quantities across.

Coloured: the run's path, mean over bases with a t interval; grey: random walks of the same steps (the null), the mean
over bases of their mean and range. Last two panels: accuracy of the base, of the run, of the first quarter's change
made as long as the run's, and of a random direction as long (the null).
"""

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, _pairs, figures
from probe.plots._captions import caption, counts, destroyed, not_drawn, replicated
from probe.plots._frame import finish, head, panels
from probe.plots._marks import bar, key, plain_numbers, seed_marks
from probe.plots._pairs import band, in_table, over_seeds, rewards_in, run_look
from probe.plots._replicates import pick
from probe.plots._style import DOUBLE, FAMILIES, GREY, Look, ordered, styled
from probe.plots._words import interval, number, plain, sentence, span

SHAPES = {
    "first_direction": "path in its first direction",
    "first_component": "in its first component",
    "linear": "R², linear in batches",
    "rank_one": "final change in rank one",
    "cosine": "cosine, quarter and whole",
    "cosine_rest": "cosine, quarter and rest",
}
ACCURACY = {1.0: "accuracy, T = 1", 0.0: "accuracy, greedy"}
WALK = Look(GREY, "s", label="random walks of the same steps (null)")
PARTS = {
    "base": Look("#000000", "o", label="base"),
    "end": Look("#0072B2", "o", label="after RL"),
    "line": Look("#D55E00", "D", label="first quarter made as long"),
    "random line": Look(GREY, "s", label="random direction as long (null)"),
}
COLUMNS, MOST = 4, 4  # panels beside each other; rewards below each other
RANGE = "/null"


@figures.register("weight_path")
@styled
def weight_path(rows: Rows) -> Drawing | None:
    """The first family whose paths were read; None where none was."""
    known = [row for row in pick(rows) if str(row.get("name")).startswith(("weight_path/", "path_"))]
    families = ordered((row.get("family") for row in known), FAMILIES)
    mine = [row for row in known if row.get("family") == families[0]]
    walked = [row for row in mine if row["name"] == f"weight_path/first_direction{RANGE}"]
    rewards = rewards_in(walked)[:MOST]  # a run that changed nothing has no path
    if not rewards:
        return None
    figure, axes = panels(2, COLUMNS, width=DOUBLE, height=0.24 * len(rewards) + 0.75, sharey=True)
    table: list[Row] = []
    spots = axes.ravel()
    for axis, (name, title) in zip(spots, SHAPES.items(), strict=False):
        table += _shape(axis, pick(mine, module="all"), f"weight_path/{name}", rewards)
        head(axis, title)
    for axis, (temperature, title) in zip(spots[len(SHAPES) :], ACCURACY.items(), strict=True):
        table += _answers(axis, pick(mine, name="path_accuracy", temperature=temperature), rewards)
        head(axis, title)
    for row in axes:
        row[0].set_yticks(range(len(rewards)), [plain(run_look(each, rewards).label, _pairs.SHORT) for each in rewards])
        row[0].set_ylim(len(rewards) - 0.5, -0.5)
    legend: list[Artist] = [key("the run's path", "o", color="#000000"), WALK.handle()]
    legend += [key(look.label, look.marker, color=look.colour, **_fill(part)) for part, look in PARTS.items()]
    left = {_run(row) for row in known} - {_run(row) for row in mine if row["reward"] in rewards}
    title, shares = _told(mine, rewards)
    return finish(figure, title, _caption(mine, table, len(left)), table + shares, legend)


def _run(row: Row) -> tuple[object, ...]:
    return tuple(row.get(name) for name in ("family", "size", "base_seed", "reward", "rl_seed"))


def _fill(part: str) -> dict[str, str]:
    return {"markerfacecolor": "white"} if part == "base" else {}


def _shape(axes: Axes, rows: Sequence[Row], name: str, rewards: Sequence[str]) -> list[Row]:
    """The run above, the walks below."""
    table: list[Row] = []
    for place, reward in enumerate(rewards):
        own, walks = (pick(rows, name=each, reward=reward) for each in (name, f"{name}{RANGE}"))
        if own:
            mean = over_seeds(own)
            seed_marks(axes, place - 0.16, mean, run_look(reward, rewards), width=0.06, flat=True)
            table += in_table(mean, "mean")
        if walks:
            null = band(walks)
            bar(axes, place + 0.2, null.estimate, WALK, flat=True)
            table += in_table(null, "null", seeds=False)
    plain_numbers(axes, x=True, y=False)
    return table


def _answers(axes: Axes, rows: Sequence[Row], rewards: Sequence[str]) -> list[Row]:
    table: list[Row] = []
    for place, reward in enumerate(rewards):
        for line, (part, look) in enumerate(PARTS.items()):
            own = pick(rows, part=part, reward=reward)
            if own:
                mean = over_seeds(own)
                hollow = part == "base"
                seed_marks(axes, place + 0.2 * (line - 1.5), mean, look, width=0.05, flat=True, hollow=hollow)
                table += in_table(mean, "null" if part == "random line" else "mean")
    axes.set_xlim(-0.03, 1.03)
    plain_numbers(axes, x=True, y=False)
    return table


def _told(rows: Sequence[Row], rewards: Sequence[str]) -> tuple[str, list[Row]]:
    """The reward of the largest gain: how much of its path is one direction, and what its first quarter says."""
    gains = {each: pick(rows, name="path_recovered_accuracy", reward=each, part="line", temperature=1.0)
             for each in rewards}  # fmt: skip
    reward = next((each for each in rewards if gains[each]), rewards[0])
    own, walks = (
        pick(rows, module="all", reward=reward, name=f"weight_path/first_direction{end}") for end in ("", RANGE)
    )
    mean, null = over_seeds(own), band(walks)
    label = plain(run_look(reward, rewards).label, _pairs.SHORT)
    said = f"{sentence(label)}: {number(mean.value)} of the path is one direction (walks: {number(null.value)})"
    random = pick(rows, name="path_recovered_accuracy", reward=reward, part="random line", temperature=1.0)
    if not gains[reward] or not random:
        return said, []
    line, anywhere = over_seeds(gains[reward]), over_seeds(random)
    told = f"{number(line.value)} {interval(line.lo, line.hi)} of the gain in accuracy"
    said = f"{said}; its first quarter made as long brings {told}, a random direction {number(anywhere.value)}"
    return said, [*in_table(line, "share"), *in_table(anywhere, "null")]


def _caption(rows: Sequence[Row], table: Sequence[Row], left: int) -> str:
    about = pick(rows, name="path_accuracy")
    n = f"{span(counts(about, 'n_problems'), 'problem')}, {span(counts(about, 'n'), 'response')}"
    walks = span(counts(pick(rows, name=f"weight_path/first_direction{RANGE}"), "n"), "walk")
    null = f"{walks} of the same steps (bars: range), a random direction"
    told = replicated([row for row in table if row["mark"] in ("mean", "run")], "bars")
    return caption("all trained tensors together", n, told, null, destroyed(pick(rows, part="end")), not_drawn(left))
