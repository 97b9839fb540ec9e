"""Which organism answers to which reward, and does its strategy move with it? T = 1, over RL steps (2506.10947).

Accuracy under informative and under spurious rewards, and below it the share of responses with real Python before the
answer (strict) of the same runs, all together; organism by column. Step 0 is the base: the mean over base seeds,
without an interval (runs of one base share it). From then on mean and t interval over bases. What titles say rests on
each run's change from its own base at the last step, after Holm over all of the figure. Dotted: what one answer to
every problem would get.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import CORRECTED, of_runs
from probe.plots._designs import by_reward, main_setting
from probe.plots._frame import NO_BREAK, finish, head, name_columns, note, panels
from probe.plots._marks import DOTS, ONE_RUN, destroyed_key, key, null_handle, null_line, plain_numbers, ribbon, thread
from probe.plots._replicates import (
    Mean,
    after_holm,
    base_mean,
    by_run,
    changes,
    columns_of,
    each_base,
    last_step,
    means_by,
    pick,
    trained,
)
from probe.plots._style import DOUBLE, FAMILIES, GREY, REWARDS, Look, handles, look, ordered, reward_look, styled
from probe.plots._words import NOT_CLEAR, UNKNOWN, signed, span

INFORMATIVE, SPURIOUS, ALL = "informative", "spurious", "all"
SAID = {"rises": "up", "falls": "down"} | {same: same for same in ("unmoved", "destroyed", "partly destroyed")}
UNSAID = (NOT_CLEAR, UNKNOWN)
ABOVE = key("above: change from own base, last batch")
FLOOR = key("one answer to all", linestyle=DOTS, linewidth=0.8)
SETTING = ("study", "size", "clip", "family")
MEASURES = {"accuracy": "accuracy", "code_share": "code share (strict)"}
BY = ("family", "reward")


@dataclass(frozen=True)
class Strip:
    """One row of panels: an estimate under one kind of reward or all, and which rows say its dotted line."""

    name: str
    kind: str = ALL
    floor: str = ""

    def holds(self, row: Row) -> bool:
        """Whether a run belongs here."""
        return row["name"] == self.name and self.kind in (ALL, _kind(row))

    @property
    def label(self) -> str:
        """Of its y axis."""
        return f"{self.name.replace('_', ' ')}\n({self.kind} rewards)"


STRIPS = [*(Strip("accuracy", kind, "chance") for kind in (INFORMATIVE, SPURIOUS)), Strip("code_share")]


@figures.register("response_curves")
@styled
def response_curves(rows: Rows) -> Drawing | None:
    """Accuracy and code share; None where no rewards were compared."""
    chosen, left_out = main_setting(by_reward(trained(rows, name=tuple(MEASURES), temperature=1)))
    after = pick(chosen, side="after")
    if not pick(after, name="accuracy"):
        return None
    families = ordered((row["family"] for row in chosen), FAMILIES)
    strips = [strip for strip in STRIPS if any(map(strip.holds, chosen))]
    last = last_step(chosen, BY)
    moved = after_holm([mean for name in MEASURES for mean in changes(last, (*BY, "name"), name=name)])
    figure, axes = panels(len(strips), len(families), width=DOUBLE, height=1.55, sharex=True, sharey=True)
    table = [row for mean in moved for row in mean.rows(side="change")]
    for strip, across in zip(strips, axes, strict=True):
        for axis, family in zip(across, families, strict=True):
            mine = [row for row in chosen if row["family"] == family and strip.holds(row)]
            table += [*_panel(axis, mine, strip.name), *_floor(axis, rows, mine, strip.floor)]
            head(axis, _shown([m for m in moved if m.key["family"] == family and strip.holds(m.runs[0])]), 4)
        across[0].set_ylabel(strip.label)
    name_columns(axes[0], [look(family, FAMILIES).label for family in families])
    for axis in axes[-1]:
        axis.set_xlabel("RL batches")
    looks = [reward_look(reward) for reward in ordered((row["reward"] for row in chosen), REWARDS)]
    floors = [FLOOR] if any(row["mark"] == "floor" for row in table) else []
    legend = [*handles(looks), null_handle("base"), *floors, ONE_RUN, *destroyed_key(chosen), ABOVE]
    drawn = " and ".join(label for name, label in MEASURES.items() if pick(after, name=name))
    text = of_runs(f"{drawn} at T = 1", moved, "ribbons", "the bases (dashed)", CORRECTED, left_out, rows=after)
    return finish(figure, _title(moved), text, table, legend)


def _kind(row: Row) -> str:
    return INFORMATIVE if row.get("informative") else SPURIOUS


def _panel(axes: Axes, rows: list[Row], name: str) -> list[Row]:
    axes.set_ylim(-0.02, 1.02)
    plain_numbers(axes)
    if not rows:
        note(axes, "no run")
        return []
    base = base_mean({"family": rows[0]["family"], "name": name, "step": 0}, rows)
    table: list[Row] = []
    if base is not None:
        null_line(axes, base.value)
        table = [{**base.key, "mark": "null", "value": base.value}]
    for reward in ordered((row["reward"] for row in rows), REWARDS):
        table += _curve(axes, [row for row in rows if row["reward"] == reward], reward_look(reward))
    return table


def _floor(axes: Axes, rows: Rows, runs: list[Row], name: str) -> list[Row]:
    """What the runs of a panel would get without reading their problems: one line for each value there is."""
    same = {tuple(run.get(key) for key in SETTING) for run in runs}
    mine = [row for row in pick(rows, name=name, temperature=1) if tuple(row.get(key) for key in SETTING) in same]
    found = {row["value"]: row for row in mine}
    for value in found:
        axes.axhline(value, color=GREY, linestyle=DOTS, linewidth=0.8, zorder=0)
    names = ("family", "name", "value", "lo", "hi", "n", "n_problems")
    return [columns_of(row, names, mark="floor") for row in found.values()]


def _curve(axes: Axes, rows: list[Row], style: Look) -> list[Row]:
    """One reward: mean and ribbon from the base on, each run a thread."""
    after = means_by(pick(rows, side="after"), ("family", "reward", "name", "step"))
    after.sort(key=lambda mean: mean.key["step"])
    if not after:
        return []
    starts = {row.get("base_seed"): row for row in each_base(rows)}
    for run in by_run(after):
        start = starts.get(run[0].get("base_seed"))
        line = [start, *run] if start else run
        thread(axes, [row["step"] for row in line], line, style)
    base = base_mean({**after[0].key, "step": 0}, rows)
    points = [base, *after] if base else after
    ribbon(axes, [mean.key["step"] for mean in points], points, style)
    return [row for mean in points for row in mean.rows()]


def _shown(moved: Sequence[Mean]) -> str:
    """What the intervals show of the change at the last step."""
    text = []
    for word in ("rises", "falls", "destroyed", "partly destroyed"):
        mine = [(reward_look(m.key["reward"]).label, signed(m.value)) for m in moved if m.verdict() == word]
        names = [f"{name}{NO_BREAK}{size}" if word in ("rises", "falls") else name for name, size in mine]
        text += [f"{word}: {', '.join(names)}"] if names else []
    others = [word for word in ("unmoved", *UNSAID) if any(m.verdict() == word for m in moved if not m.is_null)]
    return "; ".join(text) or ", ".join(others)


def _title(moved: Sequence[Mean]) -> str:
    """Of each estimate, under how many rewards it goes up or down in each organism; the null reward is not counted."""
    real = [mean for mean in moved if not mean.is_null]
    rewards = span([len({m.key["reward"] for m in real if m.key["family"] == f}) for f in _families(real)], "reward")
    text = {name: _counted([mean for mean in real if mean.key["name"] == name]) for name in MEASURES}
    return f"Accuracy under {rewards}: {text['accuracy']}" + (
        f". Code share: {said}" if (said := text["code_share"]) else ""
    )


def _counted(means: Sequence[Mean]) -> str:
    text = []
    for family in _families(means):
        words = [mean.verdict() for mean in means if mean.key["family"] == family]
        said = {word: short for word, short in SAID.items() if word in words} or {w: w for w in UNSAID if w in words}
        counts = ", ".join(f"{words.count(word)} {short}" for word, short in said.items())
        text.append(f"{look(family, FAMILIES).label} {counts}")
    return "; ".join(text)


def _families(means: Sequence[Mean]) -> list[str]:
    return ordered((mean.key["family"] for mean in means), FAMILIES)
