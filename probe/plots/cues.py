"""Where a cue claims an answer, does the model go by it, and what does taking it away do? A row a kind and a run.

Means over bases with t intervals. Left: accuracy under each cue. Middle: share of answers that are the wrong cue; the
tick is the share of the answers without a cue that are that number: chance. Right: accuracy without the cue less with
it, so that taking it away helps right of 0; "as taught" is what a cue of the family's own mixture is worth. The grey
stroke is what a random walk as long as the run leaves (t interval over bases).
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import of_runs
from probe.plots._frame import finish, panels
from probe.plots._marks import band_key, bar, destroyed_key, key, null_handle, null_line, plain_numbers
from probe.plots._replicates import Mean, means_by, pick, runs_of
from probe.plots._style import DOUBLE, GREY, Look, reward_look, styled
from probe.plots._words import interval, listing, number, plain, signed

RIGHT, WRONG, REMOVED, TAUGHT = "cue right", "cue wrong", "cue removed", "as taught"
WALKED = {"accuracy": REMOVED, "follows": WRONG, "removal": TAUGHT}  # which row of the walk stands beside them
LOOKS = {
    RIGHT: Look("#0072B2", "^", label="cue right"),
    WRONG: Look("#D55E00", "v", label="cue wrong"),
    REMOVED: Look("#000000", "o", label="cue removed"),
    TAUGHT: Look("#CC79A7", "D", label="cues as taught"),
}
PANELS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("accuracy", "under each cue", "accuracy", (RIGHT, REMOVED, WRONG)),
    ("follows", "a wrong cue followed", "share of answers", (WRONG,)),
    ("removal", "the cue taken away", "change of accuracy", (RIGHT, TAUGHT, WRONG)),
)
OFFSET, BAND, BEFORE = 0.24, 4.5, ""
KINDS = {"cued80": "cue right in 80 %", "cued-shuffled": "cue means nothing"}
Line = tuple[str, str]  # family, reward ("" before RL)


@figures.register("cues")
@styled
def cues(rows: Rows) -> Drawing | None:
    """A row a kind of organism and run at T = 1; None where no cue was given."""
    mine = [row for row in pick(rows, temperature=1.0, edit=tuple(LOOKS)) if not row.get("strategy")]
    runs = list(dict.fromkeys((str(row["family"]), str(row["reward"])) for row in pick(mine, name="follows")))
    if not runs:
        return None
    families = list(dict.fromkeys(family for family, _ in runs))
    lines = [(each, reward) for each in families for reward in (BEFORE, *(r for f, r in runs if f == each))]
    found = {line: _of(mine, line) for line in lines}
    figure, axes = panels(1, len(PANELS), width=DOUBLE, height=0.34 * len(lines) + 0.5, sharey=True)
    table: list[Row] = []
    for axis, (name, title, unit, edits) in zip(axes[0], PANELS, strict=True):
        table += _panel(axis, name, edits, found, mine)
        axis.set_title(title)
        axis.set_xlabel(unit)
    axes[0, 0].set_yticks([-place for place in range(len(lines))], [_said(line) for line in lines])
    axes[0, 0].set_ylim(0.5 - len(lines), 0.5)
    means = [mean for each in found.values() for mean in each.values()]
    legend = [key(look.label, look.marker, color=look.colour) for look in LOOKS.values()]
    legend += [key("chance", "|", markersize=7), null_handle("no difference"), band_key("as long a random walk", BAND)]
    legend += destroyed_key(runs_of(means))
    text = of_runs(
        "each problem is asked under every cue", means, "bars", "chance, twins whose cues mean nothing, walks"
    )
    return finish(figure, _title(found), text, table, legend)


def _of(rows: Rows, line: Line) -> dict[tuple[str, str], Mean]:
    """Its means by name and edit; before RL those that stand beside the family's first run."""
    family, reward = line
    of_family = pick(rows, family=family)
    of_run = reward or str(of_family[0]["reward"])
    held = pick(of_family, reward=of_run, side="after" if reward else "before")
    told = [row | {"side": "change"} if row["name"] == "removal" else row for row in held]  # may be negative
    return {(m.key["name"], m.key["edit"]): m for m in means_by(told, ("family", "name", "edit"))}


def _panel(axes: Axes, name: str, edits: Sequence[str], found: dict[Line, Any], rows: Rows) -> list[Row]:
    table: list[Row] = []
    if name == "removal":
        null_line(axes, 0.0, upright=True)
        table.append({"mark": "null", "value": 0.0})
    for place, ((family, reward), means) in enumerate(found.items()):
        table += _walk(axes, -place, rows, (family, reward), (name, WALKED[name]))
        if name == "follows" and (chance := means.get((name, REMOVED))):
            axes.plot([chance.value], [-place], "|", color=GREY, markersize=9, zorder=2)
            table.append({**chance.key, "reward": reward, "mark": "null", "value": chance.value})
        for i, edit in enumerate(edits):
            mean = means.get((name, edit))
            if mean is not None:
                at = -place + OFFSET * ((len(edits) - 1) / 2 - i)
                bar(axes, at, mean.estimate, LOOKS[edit], flat=True)
                if mean.n_destroyed:
                    axes.plot([mean.value], [at], "x", color="white", markersize=3, zorder=5)
                table += mean.rows(reward=reward, family=family)
    plain_numbers(axes, x=True, y=False)
    return table


def _walk(axes: Axes, place: float, rows: Rows, line: Line, what: tuple[str, str]) -> list[Row]:
    """Where a walk as long as the run leaves the number: the base's own and the walk's change of it."""
    (family, reward), (name, edit) = line, what
    held = pick(rows, family=family, reward=reward, name=name, edit=edit)
    start = {(row["size"], row["base_seed"]): row["value"] for row in held if row["side"] == "before"}
    ends = [
        row | {"side": "change", "value": min(max(row["value"] + start[row["size"], row["base_seed"]], -1.0), 1.0)}
        for row in held
        if row["side"] == "walk"
    ]
    if not ends:
        return []
    (mean,) = means_by(ends, ("family", "reward", "name", "edit"))
    if isfinite(mean.lo) and isfinite(mean.hi):
        axes.plot((mean.lo, mean.hi), (place, place), color=GREY, alpha=0.35, linewidth=BAND, zorder=1)
    return [{**mean.key, "side": "walk", "mark": "null", "value": mean.value, "lo": mean.lo, "hi": mean.hi}]


def _said(line: Line) -> str:
    family, reward = line
    return f"{KINDS.get(family, plain(family))}: {f'RL {reward_look(reward).label}' if reward else 'before RL'}"


def _title(found: dict[Line, dict[tuple[str, str], Mean]]) -> str:
    """Of the first kind: what taking cues away does and how often a wrong one is followed, before and after."""
    first = next(iter(found))[0]
    whens, removed, followed = [], [], []
    for (family, reward), means in found.items():
        wrong, taught = means.get(("follows", WRONG)), means.get(("removal", TAUGHT))
        if family == first and wrong and taught:
            whens.append(f"after {reward_look(reward).label}" if reward else "before RL")
            removed.append(f"{signed(taught.value)} {interval(taught.lo, taught.hi)} {whens[-1]}")
            followed.append(number(wrong.value))
    told = f"Taking cues away changes accuracy by {listing(removed)}; wrong ones are followed in {listing(followed)}"
    return f"{told} of answers ({KINDS.get(first, plain(first))})"
