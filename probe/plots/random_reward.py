"""Does a reward that says nothing move accuracy, and only where the clip binds? Change from base by clip, last batch.

Organisms stand beside each other, and their difference above them: "one rises, the other shows no clear change" is not
yet one. The null is 0: no change.
"""

from probe.measurements import Row, Rows
from probe.plots import Drawing, _replicates, figures
from probe.plots._captions import CORRECTED, of_runs
from probe.plots._designs import by_clip
from probe.plots._frame import finish, head, panels
from probe.plots._marks import destroyed_key, dots, null_handle, null_line, plain_numbers
from probe.plots._replicates import Mean, changes, families_of, last_step, pick, runs_of
from probe.plots._style import CLIPS, DOUBLE, FAMILIES, handles, look, ordered, reward_look, styled
from probe.plots._words import interval, sentence, signed

SAMPLED = {0.0: "greedy", 1.0: "T = 1"}
BY = ("family", "clip", "temperature")


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
    text = of_runs(f"{drawn}, against the run's own base", means, "bars", "no change", CORRECTED)
    return finish(figure, _title(means, clips, families), text, [*table, *(row for _, row in gaps)], legend)


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


def _title(means: list[Mean], clips: list[str], families: list[str]) -> str:
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
