"""Does a reward that says nothing move accuracy, and only where the clip binds? Change from base by clip.

Every run is a dot; mean and t interval over runs at the last batch. The null is 0: no change. Organisms stand beside
each other (latent-code beside no-code), and their difference stands above them: "one rises, the other shows no clear
change" is not yet a difference.
"""

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import of_runs
from probe.plots._designs import by_clip
from probe.plots._frame import finish, head, panels
from probe.plots._marks import destroyed_key, dots, null_handle, null_line, plain_numbers
from probe.plots._replicates import Mean, changes, difference, families_of, last_step, one_fate, pick, runs_of
from probe.plots._style import CLIPS, DOUBLE, FAMILIES, handles, look, ordered, reward_look, styled
from probe.plots._words import interval, sentence, signed

SAMPLED = {0.0: "greedy", 1.0: "T = 1"}
BY = ("family", "clip", "temperature")


@figures.register("random_reward")
@styled
def random_reward(rows: Rows) -> Drawing | None:
    """Greedy on the left, T = 1 on the right; None where no clip settings were compared."""
    means = changes(
        last_step(one_fate(by_clip(pick(rows, name="accuracy"))), ("family", "clip")), BY, temperature=tuple(SAMPLED)
    )
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
        apart = "; ".join(text for row, text in gaps if row["temperature"] == temperature)
        head(axis, SAMPLED[temperature] + (f" — difference (Welch 95 %): {apart}" if apart else ""), 4)
        plain_numbers(axis)
    axes[0, 0].set_ylabel("change in accuracy from base")
    runs = runs_of(means)
    legend = [*handles([look(name, FAMILIES) for name in families]), null_handle("no change"), *destroyed_key(runs)]
    drawn = f"accuracy after {' or '.join(str(step) for step in sorted({run['step'] for run in runs}))} RL batches"
    text = of_runs(f"{drawn}, against the run's own base", means, "bars", "no change")
    return finish(figure, _title(means, clips, families), text, [*table, *(row for row, _ in gaps)], legend)


def _gaps(means: list[Mean], families: list[str]) -> list[tuple[Row, str]]:
    """The first organism minus each other one, at each clip and temperature where both have intact runs."""
    by = {(m.key["family"], m.key["clip"], m.key["temperature"]): m for m in means if not m.n_destroyed}
    firsts = [mean for mean in by.values() if mean.key["family"] == families[0]]
    pairs = [
        (mean, by.get((name, mean.key["clip"], mean.key["temperature"]))) for mean in firsts for name in families[1:]
    ]
    return [_gap(mean, other) for mean, other in pairs if other]


def _gap(mean: Mean, other: Mean) -> tuple[Row, str]:
    """Its row, and what is said of it above the panel."""
    value, lo, hi = difference(mean, other)
    family = f"{mean.key['family']} - {other.key['family']}"
    row = {**mean.key, "mark": "difference", "family": family, "name": "accuracy", "side": "change"}
    names = " − ".join(look(each.key["family"], FAMILIES).label for each in (mean, other))
    where = look(mean.key["clip"], CLIPS).label
    return {**row, "value": value, "lo": lo, "hi": hi}, f"{names}, {where} {signed(value)} {interval(lo, hi)}"


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
