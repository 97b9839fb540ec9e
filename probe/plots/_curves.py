"""An estimate over RL steps, organism by column, informative rewards above and spurious ones below, T = 1.

Step 0 is the base: the mean over base seeds, without an interval (runs of one base share it). From then on mean and t
interval over bases. What titles say rests on each run's change from its own base at the last step, after Holm over the
figure. Dotted: what needs no model at all (`chance`).
"""

from collections.abc import Sequence

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing
from probe.plots._captions import CORRECTED, of_runs
from probe.plots._designs import by_reward, main_setting
from probe.plots._frame import finish, head, name_columns, note, panels
from probe.plots._marks import DOTS, ONE_RUN, destroyed_key, key, null_handle, null_line, plain_numbers, ribbon, thread
from probe.plots._replicates import (
    Mean,
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
from probe.plots._style import DOUBLE, FAMILIES, GREY, REWARDS, Look, handles, look, ordered, reward_look
from probe.plots._words import NOT_CLEAR, UNKNOWN, sentence, signed, span

ROWS = ("informative", "spurious")
SAID, UNSAID = ("rises", "falls", "unmoved", "destroyed", "partly destroyed"), (NOT_CLEAR, UNKNOWN)
ABOVE = key("above: change from own base, last batch")
FLOOR = key("one answer to all", linestyle=DOTS, linewidth=0.8)
SETTING = ("study", "size", "clip", "family")


def curves(rows: Rows, name: str, label: str, floor: str = "") -> Drawing | None:
    """The figure of one estimate; None where no rewards were compared. `floor` names the rows of a dotted line."""
    chosen, left_out = main_setting(by_reward(trained(rows, name=name, temperature=1)))
    after = pick(chosen, side="after")
    if not after:
        return None
    families = ordered((row["family"] for row in chosen), FAMILIES)
    kinds = [kind for kind in ROWS if any(_kind(row) == kind for row in chosen)]
    moved = changes(last_step(chosen, ("family", "reward")), ("family", "reward"))
    figure, axes = panels(len(kinds), len(families), width=DOUBLE, height=1.75, sharex=True, sharey=True)
    table = [row for mean in moved for row in mean.rows(name=name, side="change")]
    for i, kind in enumerate(kinds):
        for axis, family in zip(axes[i], families, strict=True):
            mine = [row for row in chosen if row["family"] == family and _kind(row) == kind]
            table += [*_panel(axis, mine, name), *_floor(axis, rows, mine, floor)]
            head(axis, _shown([m for m in moved if m.key["family"] == family and _kind(m.runs[0]) == kind]))
        axes[i, 0].set_ylabel(f"{label}\n({kind} rewards)")
    name_columns(axes[0], [look(family, FAMILIES).label for family in families])
    for axis in axes[-1]:
        axis.set_xlabel("RL batches")
    looks = [reward_look(reward) for reward in ordered((row["reward"] for row in chosen), REWARDS)]
    floors = [FLOOR] if any(row["mark"] == "floor" for row in table) else []
    legend = [*handles(looks), null_handle("base"), *floors, ONE_RUN, *destroyed_key(chosen), ABOVE]
    null = "the bases (dashed)"
    text = of_runs(label, moved, "ribbons", null, CORRECTED, left_out, rows=after)
    return finish(figure, _title(moved, name), text, table, legend)


def _kind(row: Row) -> str:
    return ROWS[0] if row.get("informative") else ROWS[1]


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
        names = [f"{name} {size}" if word in ("rises", "falls") else name for name, size in mine]
        text += [f"{word}: {', '.join(names)}"] if names else []
    others = [word for word in ("unmoved", *UNSAID) if any(m.verdict() == word for m in moved if not m.is_null)]
    return "; ".join(text) or ", ".join(others)


def _title(moved: Sequence[Mean], name: str) -> str:
    verdicts: dict[str, list[str]] = {}
    for mean in (mean for mean in moved if not mean.is_null):
        verdicts.setdefault(mean.key["family"], []).append(mean.verdict())
    text = []
    for family in ordered(verdicts, FAMILIES):
        words = verdicts[family]
        said = [word for word in SAID if word in words] or [word for word in UNSAID if word in words]
        text.append(f"{look(family, FAMILIES).label} {', '.join(f'{word} under {words.count(word)}' for word in said)}")
    rewards = span([len(words) for words in verdicts.values()], "reward")
    return f"{sentence(name.replace('_', ' '))} under {rewards}: {'; '.join(text)}"
