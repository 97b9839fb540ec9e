"""What does GRPO do to a real language model, batch by batch, on questions it is not trained on? T = 1.

Code share, entropy of what is sampled, and accuracy of the base (batch 0) and of each kept step, a line a reward. A
mark is one checkpoint, its bar the interval over problems; one base and one run a reward, so nothing is said of other
bases or seeds. Hollow grey marks: the base after a random change of its weights as large as that of the run, matrix by
matrix. What the title says rests on the paired change at the last step.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption, counts, destroyed, not_drawn
from probe.plots._frame import finish, panels
from probe.plots._marks import bar, destroyed_key, key, null_handle, null_line, plain_numbers
from probe.plots._pairs import base_name
from probe.plots._replicates import columns_of, estimate, pick
from probe.plots._style import DOUBLE, GREY, REWARDS, Look, handles, ordered, reward_look, styled
from probe.plots._words import direction, interval, listing, signed, span

MEASURED = {"code_share": "code share", "held_out_entropy": "entropy, nats a token", "accuracy": "accuracy"}
SAID = {"code_share": "code", "held_out_entropy": "entropy"}
KEPT = ("study", "kind", "family", "reward", "rl_seed", "step", "name", "side", "value", "lo", "hi", "n", "n_problems")
RANDOM = Look(GREY, "d")
APART = 0.16  # batches between marks of different rewards, and of a random change from its run


@figures.register("real_run")
@styled
def real_run(rows: Rows) -> Drawing | None:
    """Three panels; None where no run on weights from outside was measured along the way."""
    found = [row for row in pick(rows, name=tuple(MEASURED), temperature=1.0, size="") if row.get("clip")]
    mine = [row for row in found if row.get("family") == (found[0].get("family")) and not row.get("strategy")]
    runs = [row for row in mine if row["kind"] == "rl"]
    if not pick(runs, name="code_share", side="after"):
        return None
    rewards = ordered((row["reward"] for row in runs), REWARDS)
    figure, axes = panels(1, len(MEASURED), width=DOUBLE, height=1.7)
    table: list[Row] = []
    for axis, name in zip(axes[0], MEASURED, strict=True):
        table += _panel(axis, pick(mine, name=name), rewards)
        axis.set_ylabel(MEASURED[name])
        axis.set_xlabel("RL batches")
        plain_numbers(axis)
    for axis in (axes[0, 0], axes[0, 2]):
        axis.set_ylim(-0.03, 1.03)
    axes[0, 1].set_ylim(bottom=0)
    legend = [*handles([reward_look(reward) for reward in rewards]), null_handle("base")]
    if any(row["mark"] == "random change" for row in table):
        legend.append(key("a random change as large", RANDOM.marker, markerfacecolor="white"))
    n = f"{span(counts(runs, 'n'), 'response')} to {span(counts(runs, 'n_problems'), 'problem')} at each step"
    bars = "bars: 95 % interval clustered by problem; one base, one run a reward"
    others = len({row.get("family") for row in found}) - 1
    text = caption(
        f"{base_name(runs[0])} under GRPO, T = 1, questions it is not trained on", n, bars,
        "the base (dashed), and a random change of its weights as large", destroyed(mine), not_drawn(others, "model"),
    )  # fmt: skip
    return finish(figure, _title(runs, rewards), text, table, [*legend, *destroyed_key(mine)])


def _panel(axes: Axes, rows: Sequence[Row], rewards: Sequence[str]) -> list[Row]:
    table: list[Row] = []
    start = next(iter(pick(rows, side="before", kind="rl")), None)
    if start:
        null_line(axes, start["value"])
        table.append(columns_of(start, KEPT, mark="null", step=0))
        bar(axes, 0, estimate(start), Look(GREY, "o"))
    for place, reward in enumerate(rewards):
        style, shift = reward_look(reward), APART * (place - (len(rewards) - 1) / 2)
        steps = sorted(pick(rows, side="after", kind="rl", reward=reward), key=lambda row: row["step"])
        line = [start, *steps] if start else steps
        at = [0.0 if row is start else row["step"] + shift for row in line]
        axes.plot(at, [row["value"] for row in line], color=style.colour, linestyle=style.line, zorder=2)
        for x, row in zip(at[len(line) - len(steps) :], steps, strict=True):
            bar(axes, x, estimate(row), style)
        table += [columns_of(row, KEPT, mark="step") for row in steps]
        changes = pick(rows, side="change", kind="rl", reward=reward, step=steps[-1]["step"] if steps else 0)
        table += [columns_of(row, KEPT, mark="change") for row in changes]
    for place, row in enumerate(pick(rows, side="after", kind="null")):
        bar(axes, row["step"] + APART * (place + 3), estimate(row), RANDOM, hollow=True)
        table.append(columns_of(row, KEPT, mark="random change"))
    table += [columns_of(row, KEPT, mark="random change, paired") for row in pick(rows, side="change", kind="null")]
    return table


def _title(rows: Sequence[Row], rewards: Sequence[str]) -> str:
    """What the interval of the last step's change shows, measure by measure."""
    told = []
    for reward in rewards:
        last = max(row["step"] for row in pick(rows, reward=reward))
        changes = [row for name in SAID for row in pick(rows, reward=reward, name=name, side="change", step=last)]
        words = [_said(row) for row in changes if direction(row["lo"], row["hi"]) in ("rises", "falls")]
        told.append(f"under {reward_look(reward).label} {listing(words) if words else 'nothing is shown to change'}")
    return f"{base_name(rows[0])}, {max(row['step'] for row in rows)} batches of GRPO: {'; '.join(told)}"


def _said(row: Row) -> str:
    size = f"{signed(abs(row['value']))[1:]} {interval(row['lo'], row['hi'])}"
    return f"{SAID[row['name']]} {direction(row['lo'], row['hi'])} by {size}"
