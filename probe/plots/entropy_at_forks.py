"""Did RL make the model surer at the base's forks or elsewhere, and are its forks still the base's? (2506.01939)

Mean token entropy (nats) of the after text under before and after, on the before model's top-20 % tokens and elsewhere.
Forks are chosen by the before model, so even two exchangeable checkpoints differ there: the grey stroke is where the
after model would then lie (before + the null of the change). Overlap of forks: chance .2, a constant reward 1.
"""

from collections.abc import Sequence

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import CORRECTED, of_runs
from probe.plots._designs import by_reward, main_setting
from probe.plots._frame import finish
from probe.plots._grid import Column, grid
from probe.plots._marks import AFTER, BEFORE, destroyed_key, key, null_handle
from probe.plots._replicates import after_holm, families_of, last_step, means_by, pick, run_of, runs_of, trained
from probe.plots._style import FAMILIES, look, styled

PLACES = {"forks": "at the base's forks", "elsewhere": "elsewhere"}
SAID = {"forks": "at forks", "elsewhere": "elsewhere"}
BY = ("family", "reward")
CHANCE = 0.2
STROKE = key("after, had nothing happened (null)", "|", markersize=8)
FORK = key("fork: one of the 20 % of tokens most uncertain to the base")
DRAWN = "entropy of text after RL, overlap of forks"


@figures.register("entropy_at_forks")
@styled
def entropy_at_forks(rows: Rows) -> Drawing | None:
    """Entropy at forks, elsewhere, and the overlap of forks; organisms below one another, a line per reward."""
    measured = trained(rows, name=("entropy_shift", "fork_overlap"), temperature=(1, None))
    chosen, left_out = main_setting(by_reward(measured))
    chosen = last_step(chosen, BY)
    columns = [_entropy(chosen, group, title) for group, title in PLACES.items()]
    columns = [column for column in [*columns, _overlap(chosen)] if column.means]
    if not columns:
        return None
    means = [mean for column in columns for mean in column.means]
    families = families_of(means)
    figure, table = grid(columns, families)
    null = "regression to the mean, chance"
    text = of_runs(DRAWN, means, "bars", null, CORRECTED, left_out, noun="token")
    legend = [BEFORE, AFTER, STROKE, null_handle("chance"), FORK, *destroyed_key(runs_of(means))]
    return finish(figure, _title(chosen, families), text, table, legend)


def _entropy(rows: Sequence[Row], group: str, title: str) -> Column:
    mine = pick(rows, name="entropy_shift", group=group)
    start = {run_of(row): row["value"] for row in pick(mine, side="before")}
    fair = [
        {**row, "side": "before", "value": start[run_of(row)] + row["null"]}
        for row in pick(mine, side="change")
        if run_of(row) in start and row.get("null") is not None
    ]
    sides = (pick(mine, side="after"), pick(mine, side="before"), fair)
    after, before, null = (means_by(rows_of_side, (*BY, "side")) for rows_of_side in sides)
    return Column(title, "entropy (nats)", None, after, before, null, {"name": "entropy_shift", "group": group})


def _overlap(rows: Sequence[Row]) -> Column:
    means = means_by([row for row in rows if row["name"] == "fork_overlap"], BY)
    return Column("overlap of forks", "share of after's forks", CHANCE, means, shared={"name": "fork_overlap"})


def _title(rows: Sequence[Row], families: list[str]) -> str:
    """Under how many rewards entropy falls below its null, at forks and elsewhere."""
    shifts = pick(rows, name="entropy_shift", side="change", group=tuple(SAID))
    beyond = [{**row, "value": row["value"] - (row.get("null") or 0.0)} for row in shifts]
    apart = [mean for mean in after_holm(means_by(beyond, (*BY, "group"))) if not mean.is_null]
    text = []
    for family in families:
        counts = []
        for group, where in SAID.items():
            words = [m.verdict() for m in apart if (m.key["family"], m.key["group"]) == (family, group)]
            counts += [f"{where} {words.count('falls')} of {len(words)}"] if words else []
        text += [f"{look(family, FAMILIES).label} {', '.join(counts)}"] if counts else []
    if not text:
        return "Overlap of the trained model's forks with its base's"
    return f"Rewards under which entropy falls below its null: {'; '.join(text)}"
