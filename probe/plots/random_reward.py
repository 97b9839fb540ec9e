"""Does a reward that says nothing move accuracy, and only where the clip binds? Change from base by clip.

Every run is a dot; mean and t interval over runs at the last batch. The null is 0: no change. Organisms stand beside
each other (latent-code beside no-code), and the caption gives their difference: "one rises, the other shows no clear
change" is not yet a difference.
"""

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import destroyed, intervals, join, replicates
from probe.plots._designs import by_clip
from probe.plots._frame import finish, panels
from probe.plots._marks import DESTROYED, dots, null_handle, null_line, plain_numbers
from probe.plots._replicates import Mean, changes, difference, last_step, one_fate, pick
from probe.plots._style import CLIPS, DOUBLE, FAMILIES, handles, look, ordered, reward_look, styled
from probe.plots._words import interval, sentence, signed

SAMPLED = {0.0: "greedy", 1.0: "T = 1"}
BY = ("family", "clip", "temperature")


@figures.register("random_reward")
@styled
def random_reward(rows: Rows) -> Drawing | None:
    """Greedy on the left, T = 1 on the right; None where no clip settings were compared."""
    found = changes(last_step(rows_of(rows), ("family", "clip")), BY, temperature=tuple(SAMPLED))
    if not found:
        return None
    temperatures = [t for t in SAMPLED if any(mean.key["temperature"] == t for mean in found)]
    clips = ordered((mean.key["clip"] for mean in found), CLIPS)
    families = ordered((mean.key["family"] for mean in found), FAMILIES)
    figure, axes = panels(1, len(temperatures), width=DOUBLE, height=2.2, sharey=True)
    table: list[Row] = []
    for axis, temperature in zip(axes[0], temperatures, strict=True):
        null_line(axis, 0.0)
        for mean in (m for m in found if m.key["temperature"] == temperature):
            place = clips.index(mean.key["clip"]) + 0.4 * (families.index(mean.key["family"]) - (len(families) - 1) / 2)
            dots(axis, place, mean, look(mean.key["family"], FAMILIES), width=0.13)
            table += mean.rows(name="accuracy", side="change")
        axis.set_xticks(range(len(clips)), [look(clip, CLIPS).label for clip in clips])
        axis.set_xlim(-0.5, len(clips) - 0.5)
        axis.set_title(SAMPLED[temperature])
        plain_numbers(axis)
    axes[0, 0].set_ylabel("change in accuracy from base")
    gaps = _gaps(found)
    table += [{"mark": "null", "name": "accuracy", "side": "change", "value": 0.0}, *(row for row, _ in gaps)]
    legend = [*handles([look(name, FAMILIES) for name in families]), null_handle("no change")]
    legend += [DESTROYED] if any(mean.n_destroyed for mean in found) else []
    return finish(figure, _title(found, clips, families), _caption(found, gaps), table, legend)


def rows_of(rows: Rows) -> list[Row]:
    """Accuracy of the runs that compare clip settings under a reward that says nothing."""
    return one_fate(by_clip(pick(rows, name="accuracy")))


def _gaps(found: list[Mean]) -> list[tuple[Row, str]]:
    """The first organism minus each other one, at each clip and temperature where both have intact runs."""
    first, *others = ordered((mean.key["family"] for mean in found), FAMILIES)
    by = {(m.key["family"], m.key["clip"], m.key["temperature"]): m for m in found if not m.n_destroyed}
    told = []
    for (family, clip, temperature), mean in by.items():
        for name in others if family == first else ():
            if (name, clip, temperature) in by:
                told.append(_gap(mean, by[name, clip, temperature], several=len(others) > 1))
    return told


def _gap(mean: Mean, other: Mean, *, several: bool) -> tuple[Row, str]:
    """Its row, and what the caption says of it."""
    value, lo, hi = difference(mean, other)
    family = f"{mean.key['family']} - {other.key['family']}"
    row = {**mean.key, "mark": "difference", "family": family, "name": "accuracy", "side": "change"}
    where = f"{look(mean.key['clip'], CLIPS).label} {SAMPLED[mean.key['temperature']]}"
    beside = f" (− {look(other.key['family'], FAMILIES).label})" if several else ""
    return {**row, "value": value, "lo": lo, "hi": hi}, f"{where}{beside} {signed(value)} {interval(lo, hi)}"


def _title(found: list[Mean], clips: list[str], families: list[str]) -> str:
    first = next(t for t in SAMPLED if any(mean.key["temperature"] == t for mean in found))
    by = {(mean.key["clip"], mean.key["family"]): mean for mean in found if mean.key["temperature"] == first}
    told = []
    for clip in clips:
        parts = [_told(family, by[clip, family]) for family in families if (clip, family) in by]
        told.append(f"{look(clip, CLIPS).label}: {', '.join(parts)}")
    reward = reward_look(found[0].runs[0]["reward"]).label
    return sentence(f"{reward} reward, {SAMPLED[first]} accuracy — {'; '.join(told)}")


def _told(family: str, mean: Mean) -> str:
    """With how many runs were destroyed, where it was not all."""
    word, name = mean.verdict(), look(family, FAMILIES).label
    size = f" {signed(mean.value)}" if word in ("rises", "falls") else ""
    broken = f" ({mean.n_destroyed} of {len(mean.runs)} destroyed)" if 0 < mean.n_destroyed < len(mean.runs) else ""
    return f"{name}{broken}" if word == "partly destroyed" else f"{name} {word}{size}{broken}"


def _caption(found: list[Mean], gaps: list[tuple[Row, str]]) -> str:
    runs = [run for mean in found for run in mean.runs]
    last = sorted({run["step"] for run in runs})
    names = [look(name, FAMILIES).label for name in ordered((mean.key["family"] for mean in found), FAMILIES)]
    pair = " − ".join(names) if len(names) == 2 else f"from {names[0]}"
    apart = f"Difference {pair} (Welch 95 %): {'; '.join(text for _, text in gaps)}." if gaps else ""
    return join(
        f"Change of accuracy from the run's own base after {' or '.join(map(str, last))} RL batches; small dots: runs.",
        replicates(found),
        intervals(found, "Bars"),
        destroyed(runs),
        apart,
    )
