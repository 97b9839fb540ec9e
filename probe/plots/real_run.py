"""What does GRPO do to a real language model, batch by batch, on questions it is not trained on? T = 1.

Share of responses in code (strict) and of those that say "python" (2506.10947), entropy of what is sampled, and
accuracy, of the base (batch 0) and of each kept step: a line a run. A mark is one checkpoint, its bar the interval over
problems; one base, so nothing is said of others. Hollow grey marks: the base after a random change of its weights as
large as that of a run, matrix by matrix. What the title says rests on the paired change at the last step.
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

MEASURED = {
    "code_share": "code share (strict)",
    "python_share": 'says "python"',
    "held_out_entropy": "entropy, nats a token",
    "accuracy": "accuracy",
}
SAID = {"code_share": "code", "python_share": '"python"', "held_out_entropy": "entropy"}
KEPT = ("study", "kind", "family", "reward", "rl_seed", "step", "name", "side", "value", "lo", "hi", "n", "n_problems")
RANDOM = Look(GREY, "d")
APART = 0.16  # batches between marks of different runs, and of a random change from its run
Run = tuple[str, int]  # reward, seed


@figures.register("real_run")
@styled
def real_run(rows: Rows) -> Drawing | None:
    """Four panels; None where no run on weights from outside was measured along the way."""
    found = [row for row in pick(rows, name=tuple(MEASURED), temperature=1.0, size="") if row.get("clip")]
    mine = [row for row in found if row.get("family") == found[0].get("family") and not row.get("strategy")]
    trained = [row for row in mine if row["kind"] == "rl"]
    if not pick(trained, name="code_share", side="after"):
        return None
    rewards = ordered((row["reward"] for row in trained), REWARDS)
    runs = [(r, s) for r in rewards for s in sorted({row["rl_seed"] for row in pick(trained, reward=r)})]
    figure, axes = panels(1, len(MEASURED), width=DOUBLE, height=1.7)
    table: list[Row] = []
    for axis, (name, label) in zip(axes[0], MEASURED.items(), strict=True):
        table += _panel(axis, pick(mine, name=name), runs)
        axis.set_ylabel(label)
        axis.set_xlabel("RL batches")
        plain_numbers(axis)
        if name == "held_out_entropy":
            axis.set_ylim(bottom=0)
        else:
            axis.set_ylim(-0.03, 1.03)
    legend = [*handles([reward_look(reward) for reward in rewards]), null_handle("base")]
    if any(row["mark"] == "random change" for row in table):
        legend.append(key("a random change as large", RANDOM.marker, markerfacecolor="white"))
    n = f"{span(counts(trained, 'n'), 'response')} to {span(counts(trained, 'n_problems'), 'problem')} at each step"
    seeds = [len(pick_runs(runs, reward)) for reward in rewards]
    bars = f"bars: 95 % interval clustered by problem; one base, {span(seeds, 'run')} a reward"
    others = len({row.get("family") for row in found}) - 1
    text = caption(
        f"{base_name(trained[0])} under GRPO, T = 1, questions it is not trained on", n, bars,
        "the base (dashed), and a random change of its weights as large", destroyed(mine), not_drawn(others, "model"),
    )  # fmt: skip
    return finish(figure, _title(trained, runs), text, table, [*legend, *destroyed_key(mine)])


def pick_runs(runs: Sequence[Run], reward: str) -> list[Run]:
    """The runs under one reward."""
    return [run for run in runs if run[0] == reward]


def _panel(axes: Axes, rows: Sequence[Row], runs: Sequence[Run]) -> list[Row]:
    table: list[Row] = []
    start = next(iter(pick(rows, side="before", kind="rl")), None)
    if start:
        null_line(axes, start["value"])
        table.append(columns_of(start, KEPT, mark="null", step=0))
        bar(axes, 0, estimate(start), Look(GREY, "o"))
    for place, (reward, seed) in enumerate(runs):
        style, shift = reward_look(reward), APART * (place - (len(runs) - 1) / 2)
        mine = pick(rows, kind="rl", reward=reward, rl_seed=seed)
        steps = sorted(pick(mine, side="after"), key=lambda row: row["step"])
        line = [start, *steps] if start else steps
        at = [0.0 if row is start else row["step"] + shift for row in line]
        axes.plot(at, [row["value"] for row in line], color=style.colour, linestyle=style.line, linewidth=0.9, zorder=2)
        for x, row in zip(at[len(line) - len(steps) :], steps, strict=True):
            bar(axes, x, estimate(row), style)
        table += [columns_of(row, KEPT, mark="step") for row in steps]
        changes = pick(mine, side="change", step=steps[-1]["step"] if steps else 0)
        table += [columns_of(row, KEPT, mark="change") for row in changes]
    for place, row in enumerate(pick(rows, side="after", kind="null")):
        bar(axes, row["step"] + APART * (place + len(runs)), estimate(row), RANDOM, hollow=True)
        table.append(columns_of(row, KEPT, mark="random change"))
    table += [columns_of(row, KEPT, mark="random change, paired") for row in pick(rows, side="change", kind="null")]
    return table


def _title(rows: Sequence[Row], runs: Sequence[Run]) -> str:
    """What the interval of the last step's change shows, reward by reward; of several seeds, in how many."""
    told = []
    for reward in dict.fromkeys(reward for reward, _ in runs):
        mine = pick(rows, reward=reward)
        words = [said for name in SAID if (said := _said(pick(mine, name=name), pick_runs(runs, reward)))]
        told.append(f"under {reward_look(reward).label} {listing(words) if words else 'nothing is shown to change'}")
    return f"{base_name(rows[0])}, {max(row['step'] for row in rows)} batches of GRPO: {'; '.join(told)}"


def _said(rows: Sequence[Row], runs: Sequence[Run]) -> str:
    """ "code rises by .18 [.06, .30]", or "entropy falls in 3 of 3 runs"; "" where no interval leaves 0 out."""
    last = max((row["step"] for row in rows), default=0)
    changes = pick(rows, side="change", step=last)
    ways = [(row, direction(row["lo"], row["hi"])) for row in changes]
    moved = [(row, way) for row, way in ways if way in ("rises", "falls")]
    if not moved:
        return ""
    if len(runs) == 1:
        ((row, way),) = moved
        return f"{SAID[row['name']]} {way} by {signed(abs(row['value']))[1:]} {interval(row['lo'], row['hi'])}"
    counted = [
        f"{way} in {n} of {len(runs)} runs" for way in ("rises", "falls") if (n := [w for _, w in moved].count(way))
    ]
    return f"{SAID[moved[0][0]['name']]} {listing(counted)}"
