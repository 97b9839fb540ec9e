"""Does a reward that says nothing move accuracy, only where the clip binds, and what moves first? By clip, by batch.

    random_reward      accuracy's change from base by clip at the last batch: organisms stand beside each other, and
                       their difference above them: "one rises, the other shows no clear change" is not yet one
    random_over_time   entropy (compression, H2) or strategy (H1)? Greedy accuracy and code share, and code share at
                       T = 1, at saved checkpoints; mean token entropy (nats) of the training rollouts at every batch;
                       clip .05 (chosen beforehand; the first clip measured where there is none)

The null is 0: no change.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, _replicates, figures
from probe.plots._captions import of_runs
from probe.plots._designs import by_clip
from probe.plots._frame import finish, head, note, panels
from probe.plots._marks import ONE_RUN, destroyed_key, dots, key, null_handle, null_line, plain_numbers, ribbon, thread
from probe.plots._replicates import Mean, by_run, changes, families_of, last_step, pick, runs_of
from probe.plots._style import CLIPS, DOUBLE, FAMILIES, handles, look, ordered, reward_look, styled
from probe.plots._words import interval, listing, sentence, signed

CLIP = "0.05"
AT = ("family", "step")
ONSET = key("from batch: every later interval on that side of 0")
SINCE = "change from the run's own base; entropy of training rollouts against batch 0"
SAMPLED = {0.0: "greedy", 1.0: "T = 1"}
BY = ("family", "clip", "temperature")


@dataclass(frozen=True)
class Trace:
    """One panel: the estimate, its temperature (None: the training log) and its axis."""

    name: str
    temperature: float | None
    axis: str
    short: str


TRACES = (
    Trace("accuracy", 0.0, "greedy accuracy", "greedy accuracy"),
    Trace("code_share", 0.0, "greedy code share", "greedy code share"),
    Trace("code_share", 1.0, "code share, T = 1", "T = 1 code share"),
    Trace("train/entropy", None, "mean entropy (nats), T = 1", "entropy"),
)


@figures.register("random_reward")
@styled
def random_reward(rows: Rows) -> Drawing | None:
    """Greedy on the left, T = 1 on the right; None where no clip settings were compared."""
    chosen = _replicates.one_fate(by_clip(pick(rows, name="accuracy")))
    means = changes(last_step(chosen, ("family", "clip")), BY, temperature=tuple(SAMPLED))
    if not means:
        return None
    temperatures = [t for t in SAMPLED if any(mean.key["temperature"] == t for mean in means)]
    clips, families = ordered((mean.key["clip"] for mean in means), CLIPS), families_of(means)
    figure, axes = panels(1, len(temperatures), width=DOUBLE, height=2.2, sharey=True)
    table, gaps = [{"mark": "null", "name": "accuracy", "side": "change", "value": 0.0}], _gaps(means, families)
    for axis, temperature in zip(axes[0], temperatures, strict=True):
        null_line(axis, 0.0)
        for mean in (m for m in means if m.key["temperature"] == temperature):
            place = clips.index(mean.key["clip"]) + 0.4 * (families.index(mean.key["family"]) - (len(families) - 1) / 2)
            dots(axis, place, mean, look(mean.key["family"], FAMILIES), width=0.13)
            table += mean.rows(name="accuracy", side="change")
        axis.set_xticks(range(len(clips)), [look(clip, CLIPS).label for clip in clips])
        axis.set_xlim(-0.5, len(clips) - 0.5)
        head(axis, f"{SAMPLED[temperature]}{_apart([gap for gap in gaps if gap[1]['temperature'] == temperature])}", 4)
        plain_numbers(axis)
    axes[0, 0].set_ylabel("change in accuracy from base")
    runs = runs_of(means)
    legend = [*handles([look(name, FAMILIES) for name in families]), null_handle("no change"), *destroyed_key(runs)]
    drawn = f"accuracy after {' or '.join(str(step) for step in sorted({run['step'] for run in runs}))} RL batches"
    text = of_runs(f"{drawn}, against the run's own base", means, "bars", "no change")
    return finish(figure, _reward_title(means, clips, families), text, [*table, *(row for _, row in gaps)], legend)


def _gaps(means: list[Mean], families: list[str]) -> list[tuple[str, Row]]:
    """The first organism minus each other one, at each clip and temperature where both have intact runs."""
    by = {(m.key["family"], m.key["clip"], m.key["temperature"]): m for m in means if not m.n_destroyed}
    gaps = []
    for (family, *where), mean in by.items():
        for other in families[1:] if family == families[0] else ():
            if (other, *where) in by:
                value, lo, hi = _replicates.difference(mean, by[(other, *where)])
                about = {"mark": "difference", "family": f"{family} - {other}", "name": "accuracy", "side": "change"}
                names = " − ".join(look(name, FAMILIES).label for name in (family, other))
                gaps.append((names, {**mean.key, **about, "value": value, "lo": lo, "hi": hi}))
    return gaps


def _apart(gaps: list[tuple[str, Row]]) -> str:
    """What is said of them above a panel."""
    text: dict[str, list[str]] = {}
    for names, gap in gaps:
        size = f"{look(gap['clip'], CLIPS).label} {signed(gap['value'])} {interval(gap['lo'], gap['hi'])}"
        text.setdefault(names, []).append(size)
    return "".join(f"; {names} (Welch 95 %): {', '.join(sizes)}" for names, sizes in text.items())


def _reward_title(means: list[Mean], clips: list[str], families: list[str]) -> str:
    first = next(t for t in SAMPLED if any(mean.key["temperature"] == t for mean in means))
    by = {(mean.key["clip"], mean.key["family"]): mean for mean in means if mean.key["temperature"] == first}
    text = []
    for clip in clips:
        verdicts = [_verdict(family, by[clip, family]) for family in families if (clip, family) in by]
        text.append(f"{look(clip, CLIPS).label}: {', '.join(verdicts)}")
    reward = reward_look(means[0].runs[0]["reward"]).label
    return sentence(f"{reward} reward, {SAMPLED[first]} accuracy — {'; '.join(text)}")


def _verdict(family: str, mean: Mean) -> str:
    """With how many runs were destroyed, where it was not all."""
    name = look(family, FAMILIES).label
    broken = f" ({mean.n_destroyed} of {len(mean.runs)} destroyed)" if 0 < mean.n_destroyed < len(mean.runs) else ""
    return f"{name}{broken}" if mean.verdict() == "partly destroyed" else f"{name} {mean.shown}{broken}"


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
    traces = [_trace(runs, trace) for trace in TRACES]
    figure, axes = panels(2, 2, width=DOUBLE, height=1.55, sharex=True)
    table: list[Row] = []
    for axis, trace, points in zip(axes.flat, TRACES, traces, strict=True):
        table += _panel(axis, trace, points)
    for axis in axes[1]:
        axis.set_xlabel("RL batches")
    means = [mean for points in traces for mean in points]
    families, behind = families_of(means), runs_of(means)
    legend = [*handles([look(name, FAMILIES) for name in families]), ONE_RUN, null_handle("no change"), ONSET]
    sampled = [run for run in behind if not str(run["name"]).startswith("train/")]
    text = of_runs(SINCE, means, "ribbons", "no change", rows=sampled)
    return finish(figure, _time_title(traces, families[0], runs[0]), text, table, [*legend, *destroyed_key(behind)])


def _trace(rows: Sequence[Row], trace: Trace) -> list[Mean]:
    if trace.temperature is not None:
        return changes(rows, AT, name=trace.name, temperature=trace.temperature)
    logged = sorted(pick(rows, name=trace.name), key=lambda row: row["step"])
    start: dict[tuple[object, ...], Row] = {}
    for row in logged:
        start.setdefault(_replicates.run_of(row), row)
    since = [(row, start[_replicates.run_of(row)]) for row in logged]  # the first batch is sampled from the base itself
    moved = [{**row, "step": row["step"] - at["step"], "value": row["value"] - at["value"]} for row, at in since]
    return _replicates.means_by([row for row in moved if row["step"] > 0], AT)


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


def _time_title(traces: list[list[Mean]], family: str, run: Row) -> str:
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
