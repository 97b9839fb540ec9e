"""Under a reward that says nothing, what moves first: entropy (compression, H2) or strategy (H1)? By batch.

Greedy accuracy and code share, code share and mean token entropy (nats) at T = 1, all on the same held-out problems, at
saved checkpoints; clip .05 (chosen beforehand; the first clip measured where there is none). The null is 0: no change.
"""

from dataclasses import dataclass

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, _replicates, figures
from probe.plots._captions import CORRECTED, of_runs
from probe.plots._designs import by_clip
from probe.plots._frame import finish, head, note, panels
from probe.plots._marks import ONE_RUN, destroyed_key, key, null_handle, null_line, plain_numbers, ribbon, thread
from probe.plots._replicates import Mean, after_holm, by_run, changes, families_of, pick, runs_of
from probe.plots._style import CLIPS, DOUBLE, FAMILIES, handles, look, ordered, reward_look, styled
from probe.plots._words import listing, sentence

CLIP = "0.05"
AT = ("family", "step")
ONSET = key("from batch: clear there and at every later step")
SINCE = "change from the run's own base, on held-out problems"


@dataclass(frozen=True)
class Trace:
    """One panel: the estimate, its temperature and its axis."""

    name: str
    temperature: float
    axis: str
    short: str


TRACES = (
    Trace("accuracy", 0.0, "greedy accuracy", "greedy accuracy"),
    Trace("code_share", 0.0, "greedy code share", "greedy code share"),
    Trace("code_share", 1.0, "code share, T = 1", "T = 1 code share"),
    Trace("held_out_entropy", 1.0, "token entropy (nats)", "entropy"),
)


@figures.register("random_over_time")
@styled
def random_over_time(rows: Rows) -> Drawing | None:
    """Four panels of changes since batch 0; None where no clip settings were compared."""
    runs = by_clip(rows)
    clips = ordered((row["clip"] for row in pick(runs, name="accuracy", side="after")), CLIPS)
    if not clips:
        return None
    clip = CLIP if CLIP in clips else clips[0]
    runs = _replicates.one_fate(row for row in runs if row["clip"] == clip)
    every = [changes(runs, AT, name=trace.name, temperature=trace.temperature) for trace in TRACES]
    judged = iter(after_holm([mean for points in every for mean in points]))  # over the figure, not a panel
    traces = [[next(judged) for _ in points] for points in every]
    figure, axes = panels(2, 2, width=DOUBLE, height=1.55, sharex=True)
    table: list[Row] = []
    for axis, trace, points in zip(axes.flat, TRACES, traces, strict=True):
        table += _panel(axis, trace, points)
    for axis in axes[1]:
        axis.set_xlabel("RL batches")
    means = [mean for points in traces for mean in points]
    families, behind = families_of(means), runs_of(means)
    legend = [*handles([look(name, FAMILIES) for name in families]), ONE_RUN, null_handle("no change"), ONSET]
    text = of_runs(SINCE, means, "ribbons", "no change", CORRECTED)
    return finish(figure, _title(traces, families[0], runs[0]), text, table, [*legend, *destroyed_key(behind)])


def _panel(axes: Axes, trace: Trace, points: list[Mean]) -> list[Row]:
    null_line(axes, 0.0)
    families = families_of(points)
    head(axes, "; ".join(f"{look(name, FAMILIES).label} {_onset(points, name)}" for name in families))
    axes.set_ylabel(f"change in\n{trace.axis}")
    plain_numbers(axes)
    if not points:
        note(axes, "not measured")
    table: list[Row] = [{"mark": "null", "name": trace.name, "temperature": trace.temperature, "value": 0.0}]
    for family in families:
        mine = sorted((m for m in points if m.key["family"] == family), key=lambda m: m.key["step"])
        style = look(family, FAMILIES)
        for run in by_run(mine):
            thread(axes, [0, *(row["step"] for row in run)], [{"value": 0.0}, *run], style)
        ribbon(axes, [mean.key["step"] for mean in mine], mine, style, marked=len(mine) <= 12)
        shared = {"name": trace.name, "temperature": trace.temperature, "side": "change"}
        table += [row for mean in mine for row in mean.rows(**shared)]
    return table


def _title(traces: list[list[Mean]], family: str, run: Row) -> str:
    onsets: dict[str, list[str]] = {}
    for trace, points in zip(TRACES, traces, strict=True):
        onsets.setdefault(_onset(points, family), []).append(trace.short)
    text = "; ".join(f"{listing(names)}: {onset}" for onset, names in onsets.items())
    setting = f"{reward_look(run['reward']).label} reward, {look(run['clip'], CLIPS).label}"
    return sentence(f"{setting}, {look(family, FAMILIES).label} — {text}")


def _onset(points: list[Mean], family: str) -> str:
    """What the last interval shows, and from which batch on every interval shows the same."""
    mine = sorted((mean for mean in points if mean.key["family"] == family), key=lambda mean: mean.key["step"])
    if not mine:
        return "not measured"
    words = [mean.verdict() for mean in mine]
    if words[-1] not in ("rises", "falls"):
        return words[-1]
    same = next((i for i in range(len(words), 0, -1) if words[i - 1] != words[-1]), 0)
    return f"{words[-1]} from batch {mine[same].key['step']}"
