"""Where does clipping act? By side, by inner update and by the token's old probability (2506.10947, clip bias).

Share of tokens whose gradient the clip cuts, from the training log, mean over all batches of a run. Two things hold by
construction and are drawn: in the first inner update the ratio is 1 and nothing is clipped; above pi_old = 1/(1 + eps)
the ratio cannot reach 1 + eps, so the upper side never clips. Only settings that clip at all are drawn.
"""

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import destroyed, intervals, join, replicates
from probe.plots._clip_log import HIGH, LOW, PREFIX, SIDES, clip_means, edges, unreachable, update
from probe.plots._frame import finish, panels
from probe.plots._marks import DESTROYED, dots, null_handle, null_line, plain_numbers, ribbon, thread
from probe.plots._replicates import Mean, by_run
from probe.plots._style import CLIPS, DOUBLE, GREY, Look, handles, look, ordered, styled
from probe.plots._words import small


@figures.register("clip_fraction")
@styled
def clip_fraction(rows: Rows) -> Drawing | None:
    """Three panels, one colour per clip setting; None without a training log of a run that clips."""
    found, where = clip_means(rows)
    if not found:
        return None
    figure, axes = panels(1, 3, width=DOUBLE, height=1.9)
    _by_side(axes[0, 0], [mean for mean in found if mean.key["name"] in SIDES])
    _by_update(axes[0, 1], [mean for mean in found if mean.runs[0].get("update") is not None])
    _by_bin(axes[0, 2], _binned(found, LOW), _binned(found, HIGH))
    for axis in axes[0]:
        null_line(axis, 0.0)
        plain_numbers(axis)
    axes[0, 0].set_ylabel("share of tokens clipped")
    clips = ordered((mean.key["clip"] for mean in found), CLIPS)
    runs = [run for mean in found for run in mean.runs]
    legend = [*handles([look(clip, CLIPS) for clip in clips]), _side("lower side", "v"), _side("upper side", "^")]
    legend += [null_handle("no clipping"), *([DESTROYED] if any(run["destroyed"] for run in runs) else [])]
    caption = join(
        f"Share of tokens whose gradient the clip cuts, from the training log, mean over batches; {where}. "
        "Right: share of the tokens in each bin of π_old; dotted: 1/(1 + ε), above which the upper side cannot clip.",
        replicates(found, ""),
        intervals(found, "Bars and ribbon"),
        destroyed(runs),
    )
    limits = [{"mark": "edge", "clip": clip, "value": limit} for clip in clips if (limit := unreachable(clip))]
    table = [{"mark": "null", "name": f"{PREFIX}region_mean", "value": 0.0}, *limits, *_rows(found)]
    return finish(figure, _title(found, clips), caption, table, legend)


def _binned(found: list[Mean], start: str) -> list[Mean]:
    """By bin of pi_old, of one side."""
    mine = [mean for mean in found if str(mean.key["name"]).startswith(start)]
    return [mean for mean in mine if mean.runs[0].get("pi_low") is not None]


def _by_side(axes: Axes, found: list[Mean]) -> None:
    axes.set_title("by side")
    sides = [side for side in SIDES if any(mean.key["name"] == side for mean in found)]
    clips = ordered((mean.key["clip"] for mean in found), CLIPS)
    for mean in found:
        shift = 0.36 * (clips.index(mean.key["clip"]) - (len(clips) - 1) / 2)
        dots(axes, sides.index(mean.key["name"]) + shift, mean, look(mean.key["clip"], CLIPS), width=0.1)
    axes.set_xticks(range(len(sides)), [SIDES[side] for side in sides])


def _by_update(axes: Axes, found: list[Mean]) -> None:
    axes.set_title("by inner update, either side")
    axes.set_xlabel("update within a rollout batch\n(first: ratio 1, nothing to clip)")
    for clip in ordered((mean.key["clip"] for mean in found), CLIPS):
        mine = sorted((mean for mean in found if mean.key["clip"] == clip), key=update)
        for run in by_run(mine):
            thread(axes, [row["update"] + 1 for row in run], run, look(clip, CLIPS))
        ribbon(axes, [update(mean) for mean in mine], mine, look(clip, CLIPS))
    axes.set_xticks(sorted({update(mean) for mean in found}))


def _by_bin(axes: Axes, low: list[Mean], high: list[Mean]) -> None:
    axes.set_title("by old probability of the token")
    axes.set_xlabel("π_old")
    axes.set_xlim(0, 1.02)
    plain_numbers(axes, x=True)
    for means, marker, shift in ((low, "v", -0.12), (high, "^", 0.12)):
        for mean in means:
            start, end = edges(mean)
            style = look(mean.key["clip"], CLIPS)
            axes.plot([start, end], [mean.value] * 2, color=style.colour, linestyle=style.line, linewidth=0.9, zorder=2)
            place = (start + end) / 2 + shift * (end - start)
            dots(axes, place, mean, Look(style.colour, marker), width=0.05 * (end - start))
    for clip in {mean.key["clip"] for mean in high}:
        limit = unreachable(clip)
        if limit is not None:
            axes.axvline(limit, color=look(clip, CLIPS).colour, linestyle=":", linewidth=1.0, zorder=0)


def _side(label: str, marker: str) -> Line2D:
    return Line2D([], [], color=GREY, marker=marker, linestyle="", label=label)


def _rows(found: list[Mean]) -> list[Row]:
    return [{**row, "name": f"{PREFIX}{row['name']}"} for mean in found for row in mean.rows()]


def _title(found: list[Mean], clips: list[str]) -> str:
    by = {(mean.key["clip"], mean.key["name"]): mean.value for mean in found}
    held = [clip for clip in clips if (clip, "region_mean") in by]
    whole = [f"{small(by[clip, 'region_mean'])} at {look(clip, CLIPS).label}" for clip in held]
    first = [mean.value for mean in found if mean.runs[0].get("update") == 0]
    none = "; none in the first inner update" if first and max(first) == 0 else ""
    return f"Share of tokens clipped: {', '.join(whole)}{none}" if whole else "Where clipping acts"
