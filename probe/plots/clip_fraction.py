"""Where does clipping act? By side, by inner update and by the token's old probability (2506.10947, clip bias).

Share of tokens whose gradient the clip cuts, from the training log, mean over all batches of a run. Two things hold by
construction and are drawn: in the first inner update the ratio is 1 and nothing is clipped; above pi_old = 1/(1 + eps)
the ratio cannot reach 1 + eps, so the upper side never clips. Only settings that clip at all are drawn.

Names are those of `probe.rl.loss.clip_report` without their prefix: low_mean, high_mean, region_mean, dual_mean,
region_mean/update_<i>, low/pi_old_<a>_<b>, high/pi_old_<a>_<b>. Which update, and which bin, have columns of their own.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import of_runs
from probe.plots._designs import by_clip, by_reward
from probe.plots._frame import finish, panels
from probe.plots._marks import destroyed_key, dots, key, null_handle, null_line, plain_numbers, ribbon, thread
from probe.plots._replicates import Mean, by_run, means_by, pick, run_of, runs_of
from probe.plots._style import CLIPS, DOUBLE, FAMILIES, REWARDS, Look, handles, look, ordered, reward_look, styled
from probe.plots._words import plain, small

PREFIX = "train/clip_ratio/"
SIDES = {"low_mean": "lower\n(A < 0)", "high_mean": "upper\n(A > 0)", "dual_mean": "dual\n(A < 0)"}
LOW, HIGH = "low/", "high/"
LEGEND = [key("lower side", "v"), key("upper side", "^"), null_handle("no clipping")]
LEGEND += [key("1/(1 + ε): no upper clipping above", linestyle=":", linewidth=1.0)]


@figures.register("clip_fraction")
@styled
def clip_fraction(rows: Rows) -> Drawing | None:
    """Three panels, one colour per clip setting; None without a training log of a run that clips."""
    means, where = _clip_means(rows)
    if not means:
        return None
    figure, axes = panels(1, 3, width=DOUBLE, height=1.9)
    _by_side(axes[0, 0], [mean for mean in means if mean.key["name"] in SIDES])
    _by_update(axes[0, 1], [mean for mean in means if mean.runs[0].get("update") is not None])
    _by_bin(axes[0, 2], means)
    for axis in axes[0]:
        null_line(axis, 0.0)
        plain_numbers(axis)
    axes[0, 0].set_ylabel("share of tokens clipped")
    clips = _clips(means)
    legend = [*handles([look(clip, CLIPS) for clip in clips]), *LEGEND, *destroyed_key(runs_of(means))]
    text = of_runs(f"tokens whose gradient the clip cuts, {where}", means, "bars and ribbon", "no clipping", noun="")
    limits = [{"mark": "edge", "clip": clip, "value": limit} for clip in clips if (limit := _unreachable(clip))]
    table: list[Row] = [{"mark": "null", "name": f"{PREFIX}region_mean", "value": 0.0}, *limits]
    table += [{**row, "name": f"{PREFIX}{row['name']}"} for mean in means for row in mean.rows()]
    return finish(figure, _title(means, clips), text, table, legend)


def _clips(means: Sequence[Mean]) -> list[str]:
    return ordered((mean.key["clip"] for mean in means), CLIPS)


def _by_side(axes: Axes, means: Sequence[Mean]) -> None:
    axes.set_title("by side")
    sides = [side for side in SIDES if any(mean.key["name"] == side for mean in means)]
    clips = _clips(means)
    for mean in means:
        shift = 0.36 * (clips.index(mean.key["clip"]) - (len(clips) - 1) / 2)
        dots(axes, sides.index(mean.key["name"]) + shift, mean, look(mean.key["clip"], CLIPS), width=0.1)
    axes.set_xticks(range(len(sides)), [SIDES[side] for side in sides])


def _by_update(axes: Axes, means: Sequence[Mean]) -> None:
    axes.set_title("by inner update, either side")
    axes.set_xlabel("update within a rollout batch\n(first: ratio 1, nothing to clip)")
    for clip in _clips(means):
        mine = sorted((mean for mean in means if mean.key["clip"] == clip), key=lambda mean: mean.runs[0]["update"])
        for run in by_run(mine):
            thread(axes, [row["update"] + 1 for row in run], run, look(clip, CLIPS))
        ribbon(axes, [mean.runs[0]["update"] + 1 for mean in mine], mine, look(clip, CLIPS))
    axes.set_xticks(sorted({mean.runs[0]["update"] + 1 for mean in means}))


def _by_bin(axes: Axes, means: Sequence[Mean]) -> None:
    axes.set_title("by old probability of the token")
    axes.set_xlabel("π_old")
    axes.set_xlim(0, 1.02)
    plain_numbers(axes, x=True)
    binned = [mean for mean in means if mean.runs[0].get("pi_low") is not None]
    for side, marker, shift in ((LOW, "v", -0.12), (HIGH, "^", 0.12)):
        for mean in (mean for mean in binned if str(mean.key["name"]).startswith(side)):
            start, end = mean.runs[0]["pi_low"], mean.runs[0]["pi_high"]
            style = look(mean.key["clip"], CLIPS)
            axes.plot([start, end], [mean.value] * 2, color=style.colour, linestyle=style.line, linewidth=0.9, zorder=2)
            place = (start + end) / 2 + shift * (end - start)
            dots(axes, place, mean, Look(style.colour, marker), width=0.05 * (end - start))
    for clip in {mean.key["clip"] for mean in binned if str(mean.key["name"]).startswith(HIGH)}:
        limit = _unreachable(clip)
        if limit is not None:
            axes.axvline(limit, color=look(clip, CLIPS).colour, linestyle=":", linewidth=1.0, zorder=0)


def _title(means: Sequence[Mean], clips: list[str]) -> str:
    by = {(mean.key["clip"], mean.key["name"]): mean.value for mean in means}
    held = [clip for clip in clips if (clip, "region_mean") in by]
    whole = [f"{small(by[clip, 'region_mean'])} at {look(clip, CLIPS).label}" for clip in held]
    first = [mean.value for mean in means if mean.runs[0].get("update") == 0]
    none = "; none in the first inner update" if first and max(first) == 0 else ""
    return f"Share of tokens clipped: {', '.join(whole)}{none}" if whole else "Where clipping acts"


def _clip_means(rows: Rows) -> tuple[list[Mean], str]:
    """Means keyed by clip and name, and which runs they are of: one organism and reward, random reward if logged."""
    logged = pick([row for row in rows if str(row.get("name")).startswith(PREFIX)], kind="rl")
    logged = by_clip(logged) or by_reward(logged)
    logged = [row for row in logged if str(row.get("clip")) != "none" and "/count/" not in row["name"]]
    families = ordered((row["family"] for row in logged), FAMILIES)
    if not families:
        return [], ""
    logged = pick(logged, family=families[0])
    rewards = ordered((row["reward"] for row in logged), REWARDS)
    reward = "random" if "random" in rewards else rewards[0]
    batches: dict[tuple[object, ...], list[Row]] = {}
    for row in pick(logged, reward=reward):
        batches.setdefault((run_of(row), row["name"]), []).append(row)
    means = means_by([_over_batches(some) for some in batches.values()], ("clip", "name"))
    study = plain(logged[0]["study"])
    return means, f"{look(families[0], FAMILIES).label}, {reward_look(reward).label} reward, {study} study"


def _unreachable(clip: str) -> float | None:
    """The pi_old above which a clip's upper edge cannot be reached, 1 / (1 + eps)."""
    try:
        return 1 / (1 + float(clip))
    except ValueError:
        return None


def _over_batches(rows: Sequence[Row]) -> Row:
    value = sum(row["value"] for row in rows) / len(rows)
    name = str(rows[0]["name"]).removeprefix(PREFIX)
    broken = any(row.get("destroyed") for row in rows)
    return {**rows[0], "name": name, "value": value, "unit": "fraction", "destroyed": broken, "step": None}
