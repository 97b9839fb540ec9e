"""Does RL widen what the model can solve, or only make it solve it sooner? pass@k before and after (2504.13837).

The base's curve may overtake at large k, so the change at the largest k is said beside that at k = 1. Organisms by
column; an informative reward above, a spurious one below (ground truth and random, where they were measured).
"""

from collections.abc import Sequence

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import CORRECTED, of_runs
from probe.plots._designs import by_reward, main_setting
from probe.plots._frame import finish, head, name_columns, note, panels
from probe.plots._marks import ONE_RUN, destroyed_key, key, plain_numbers, ribbon, thread
from probe.plots._replicates import Mean, base_mean, by_run, changes, last_step, means_by, pick
from probe.plots._style import DOUBLE, FAMILIES, GREY, REWARDS, Look, handles, look, ordered, reward_look, styled

SHOWN = ("ground_truth", "random")
BY = ("name", "family", "reward", "side", "k")
BASE = Look(GREY, "o", (0, (4, 2)), "before (null)")
ABOVE = key("above: change from own base")


@figures.register("pass_at_k")
@styled
def pass_at_k(rows: Rows) -> Drawing | None:
    """Curves with ribbons over runs; None without pass@k of runs that compare rewards."""
    chosen, left_out = main_setting(by_reward(pick(rows, name="pass_at_k", kind="rl", temperature=1)))
    shown = _shown(chosen)
    chosen = last_step([row for row in chosen if row["reward"] in shown], ("family", "reward"))
    if not pick(chosen, side="after"):
        return None
    families = ordered((row["family"] for row in chosen), FAMILIES)
    moved = changes(chosen, BY)
    figure, axes = panels(len(shown), len(families), width=DOUBLE, height=1.55, sharex=True, sharey=True)
    table: list[Row] = []
    for i, reward in enumerate(shown):
        for axis, family in zip(axes[i], families, strict=True):
            table += _panel(axis, pick(chosen, family=family, reward=reward), reward_look(reward))
            head(axis, _ends(moved, family, reward))
        axes[i, 0].set_ylabel(f"pass@k\n({reward_look(reward).label})")
    name_columns(axes[0], [look(name, FAMILIES).label for name in families])
    for axis in axes[-1]:
        axis.set_xlabel("k samples (log scale)")
    table += [row for mean in moved for row in mean.rows()]
    looks = [reward_look(name) for name in shown]
    legend = [BASE.handle(), *handles(looks), ONE_RUN, *destroyed_key(chosen), ABOVE]
    drawn, null = "problems that k samples solve (last batch, T = 1)", "the bases (dashed)"
    text = of_runs(drawn, moved, "ribbons", null, CORRECTED, left_out)
    ends = "; ".join(f"{look(family, FAMILIES).label} {_ends(moved, family, shown[0])}" for family in families)
    return finish(figure, f"pass@k under {reward_look(shown[0]).label}: {ends}", text, table, legend)


def _shown(rows: Sequence[Row]) -> list[str]:
    """Of each kind of reward the one that is always shown, or the first that was measured."""
    names: list[str] = []
    for preferred, informative in zip(SHOWN, (True, False), strict=True):
        kind = ordered((row["reward"] for row in rows if bool(row.get("informative")) == informative), REWARDS)
        names += [preferred] if preferred in kind else kind[:1]
    return names


def _panel(axes: Axes, rows: Sequence[Row], style: Look) -> list[Row]:
    axes.set_xscale("log", base=2)
    axes.set_ylim(-0.02, 1.04)
    plain_numbers(axes)
    table: list[Row] = []
    if not rows:
        note(axes, "no run")
        return table
    ks = sorted({row["k"] for row in rows})
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.minorticks_off()
    about = {"name": "pass_at_k", "family": rows[0]["family"], "reward": rows[0]["reward"], "side": "before"}
    bases = [base_mean({**about, "k": k}, pick(rows, k=k)) for k in ks]
    after = sorted(means_by(pick(rows, side="after"), BY), key=lambda mean: mean.key["k"])
    for points, drawn in (([mean for mean in bases if mean], BASE), (after, style)):
        for run in by_run(points):
            thread(axes, [row["k"] for row in run], run, drawn)
        ribbon(axes, [mean.key["k"] for mean in points], points, drawn)
        table += [row for mean in points for row in mean.rows()]
    return table


def _ends(moved: list[Mean], family: str, reward: str) -> str:
    """The change at the smallest and the largest k, with what its interval shows."""
    mine = [mean for mean in moved if (mean.key["family"], mean.key["reward"]) == (family, reward)]
    mine.sort(key=lambda mean: mean.key["k"])
    ends = [mine[0], mine[-1]] if len(mine) > 1 else mine
    return ", ".join(f"@{mean.key['k']} {mean.shown}" for mean in ends)
