"""Did RL make the model surer at the base's forks or elsewhere, and are its forks still the base's? (2506.01939)

Mean token entropy (nats) of the after text under before and after, on the before model's top-20 % tokens and elsewhere.
Forks are chosen by the before model, so even two exchangeable checkpoints differ there: the grey stroke is where the
after model would then lie (before + the null of the change). Overlap of forks: chance .2, a constant reward 1.
"""

from collections.abc import Sequence

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import destroyed, intervals, join, replicates
from probe.plots._curves import main_setting
from probe.plots._designs import by_reward
from probe.plots._frame import finish
from probe.plots._grid import Column, grid
from probe.plots._marks import AFTER, BEFORE, DESTROYED, NULL_STROKE, null_handle
from probe.plots._replicates import last_step, means, pick, run_of, trained
from probe.plots._style import FAMILIES, look, ordered, styled

PLACES = {"forks": "at the base's forks", "elsewhere": "elsewhere"}
BY = ("family", "reward")
CHANCE = 0.2


@figures.register("entropy_at_forks")
@styled
def entropy_at_forks(rows: Rows) -> Drawing | None:
    """Entropy at forks, elsewhere, and the overlap of forks; organisms below one another, a line per reward."""
    chosen = by_reward(trained(rows, name=("entropy_shift", "fork_overlap"), temperature=(1, None)))
    chosen, left_out = main_setting(chosen)
    chosen = last_step(chosen, BY)
    columns = [_entropy(chosen, group, title) for group, title in PLACES.items()]
    columns = [column for column in [*columns, _overlap(chosen)] if column.means]
    if not columns:
        return None
    found = [mean for column in columns for mean in column.means]
    families = ordered((mean.key["family"] for mean in found), FAMILIES)
    figure, table = grid(columns, families)
    runs = [run for mean in found for run in mean.runs]
    caption = join(
        "Both checkpoints score the after text at the last batch. Forks: the 20 % of its tokens with the highest "
        "entropy under the base. Grey stroke: the after model if nothing had happened (regression to the mean).",
        replicates(found, "token"),
        intervals(found, "Bars"),
        destroyed(runs),
        left_out,
    )
    legend = [BEFORE, AFTER, NULL_STROKE, null_handle("chance")]
    legend += [DESTROYED] if any(run.get("destroyed") for run in runs) else []
    return finish(figure, _title(chosen, families), caption, table, legend)


def _entropy(rows: Sequence[Row], group: str, title: str) -> Column:
    here = [row for row in rows if row["name"] == "entropy_shift" and row["group"] == group]
    sides = {side: pick(here, side=side) for side in ("before", "after", "change")}
    before = {run_of(row): row["value"] for row in sides["before"]}
    fair = [
        {**row, "side": "before", "value": before[key] + row["null"]}
        for row in sides["change"]
        if (key := run_of(row)) in before and row.get("null") is not None
    ]
    told = {"name": "entropy_shift", "group": group}
    found = [means(some, (*BY, "side")) for some in (sides["after"], sides["before"], fair)]
    return Column(title, "entropy (nats)", None, found[0], found[1], found[2], told)


def _overlap(rows: Sequence[Row]) -> Column:
    found = means([row for row in rows if row["name"] == "fork_overlap"], BY)
    return Column("overlap of forks", "share of after's forks", CHANCE, found, told={"name": "fork_overlap"})


def _title(rows: Sequence[Row], families: list[str]) -> str:
    """Under how many rewards entropy falls, beyond its null, at forks and elsewhere."""
    told = []
    for family in families:
        mine = [row for row in rows if row["family"] == family]
        parts = []
        for group, where in (("forks", "at forks"), ("elsewhere", "elsewhere")):
            shifts = pick(mine, name="entropy_shift", side="change", group=group)
            beyond = means([{**row, "value": row["value"] - (row.get("null") or 0.0)} for row in shifts], BY)
            words = [mean.verdict() for mean in beyond if not mean.is_null]
            parts += [f"{where} {words.count('falls')} of {len(words)}"] if words else []
        told += [f"{look(family, FAMILIES).label} {', '.join(parts)}"] if parts else []
    if not told:
        return "Overlap of the trained model's forks with its base's"
    return f"Rewards under which entropy falls beyond its null: {'; '.join(told)}"
