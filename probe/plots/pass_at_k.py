"""Does RL widen what the model can solve, or only make it solve it sooner? pass@k before and after (2504.13837).

The base's curve may overtake at large k, so the change at the largest k is said beside that at k = 1. Organisms by
column; ground truth above, random below (whichever of the two were measured, else the first reward).
"""

from collections.abc import Sequence

from matplotlib.axes import Axes

from probe.plots import Drawing, Rows, figures
from probe.plots._captions import destroyed, intervals, join, replicates
from probe.plots._curves import main_setting
from probe.plots._frame import finish, head, name_columns, note, panels
from probe.plots._marks import DESTROYED, ONE_RUN, plain_numbers, ribbon, thread
from probe.plots._replicates import Mean, Row, base_mean, by_run, changes, last_step, means, pick
from probe.plots._style import DOUBLE, FAMILIES, GREY, REWARDS, Look, handles, look, ordered, reward_look, styled
from probe.plots._words import signed

SHOWN = ("ground_truth", "random")
BY = ("name", "family", "reward", "side", "level")
BASE = Look(GREY, "o", (0, (4, 2)), "before")


@figures.register("pass_at_k")
@styled
def pass_at_k(rows: Rows) -> Drawing | None:
    """Curves with ribbons over runs; None without pass@k of a run of the tiny study."""
    chosen, left_out = main_setting(pick(rows, name="pass_at_k", study="tiny", kind="rl", temperature=1))
    measured = ordered((row["reward"] for row in chosen), REWARDS)
    rewards = [name for name in SHOWN if name in measured] or measured[:1]
    chosen = last_step([row for row in chosen if row["reward"] in rewards], ("family", "reward"))
    if not pick(chosen, side="after"):
        return None
    families = ordered((row["family"] for row in chosen), FAMILIES)
    moved = changes(chosen, BY)
    figure, axes = panels(len(rewards), len(families), width=DOUBLE, height=1.55, sharex=True, sharey=True)
    table: list[Row] = []
    for i, reward in enumerate(rewards):
        for axis, family in zip(axes[i], families, strict=True):
            here = [row for row in chosen if row["family"] == family and row["reward"] == reward]
            table += _panel(axis, here, reward_look(reward))
            head(axis, _ends(moved, family, reward))
        axes[i, 0].set_ylabel(f"pass@k\n({reward_look(reward).label})")
    name_columns(axes[0], [look(name, FAMILIES).label for name in families])
    for axis in axes[-1]:
        axis.set_xlabel("k samples (log scale)")
    table += [row for mean in moved for row in mean.rows()]
    legend = [BASE.handle(), *handles([reward_look(name) for name in rewards]), ONE_RUN]
    legend += [DESTROYED] if any(row.get("destroyed") for row in chosen) else []
    return finish(figure, _title(moved, families, rewards[0]), _caption(moved, chosen, left_out), table, legend)


def _panel(axes: Axes, rows: Sequence[Row], style: Look) -> list[Row]:
    axes.set_xscale("log", base=2)
    axes.set_ylim(-0.02, 1.04)
    plain_numbers(axes)
    table: list[Row] = []
    if not rows:
        note(axes, "no run")
        return table
    ks = sorted({int(row["level"]) for row in rows})
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.minorticks_off()
    told = {"name": "pass_at_k", "family": rows[0]["family"], "reward": rows[0]["reward"], "side": "before"}
    bases = [base_mean({**told, "level": str(k)}, pick(rows, level=str(k))) for k in ks]
    after = sorted(means(pick(rows, side="after"), BY), key=lambda mean: int(mean.key["level"]))
    for points, drawn in (([mean for mean in bases if mean], BASE), (after, style)):
        for run in by_run(points):
            thread(axes, [int(row["level"]) for row in run], run, drawn)
        ribbon(axes, [int(mean.key["level"]) for mean in points], points, drawn)
        table += [row for mean in points for row in mean.rows()]
    return table


def _ends(moved: list[Mean], family: str, reward: str) -> str:
    """The change at the smallest and the largest k, with what its interval shows."""
    mine = [mean for mean in moved if (mean.key["family"], mean.key["reward"]) == (family, reward)]
    mine.sort(key=lambda mean: int(mean.key["level"]))
    ends = [mine[0], mine[-1]] if len(mine) > 1 else mine
    return ", ".join(f"@{mean.key['level']} {_said(mean)}" for mean in ends)


def _said(mean: Mean) -> str:
    word = mean.verdict()
    return f"{word} {signed(mean.value)}" if word in ("rises", "falls") else word


def _title(moved: list[Mean], families: list[str], reward: str) -> str:
    told = [f"{look(family, FAMILIES).label} {_ends(moved, family, reward)}" for family in families]
    return f"pass@k under {reward_look(reward).label}: {'; '.join(told)}"


def _caption(moved: list[Mean], rows: list[Row], left_out: str) -> str:
    return join(
        "Share of problems that k samples solve (unbiased estimate), before and after RL, last batch, T = 1.",
        "Before (the null): mean of the bases, each a thin line, no interval.",
        replicates(moved),
        intervals(moved, "Ribbon"),
        destroyed(rows),
        "Rises/falls: the interval of the change from each run's own base excludes 0.",
        left_out,
    )
