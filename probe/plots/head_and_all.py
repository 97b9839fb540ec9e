"""Does it matter whether the output head is trained or every weight? Change in accuracy, sampled and greedy.

Grey strokes: the base after a walk as long as the run, row by row, in random directions: the null of every effect of
training.
"""

from collections.abc import Sequence

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import CORRECTED, of_runs
from probe.plots._frame import finish
from probe.plots._grid import Column, grid
from probe.plots._marks import destroyed_key, key, null_handle
from probe.plots._replicates import Mean, after_holm, families_of, means_by, pick, runs_of
from probe.plots._style import FAMILIES, look, styled
from probe.plots._words import listing

ALL = "_all"  # how the name of a run of every weight ends
TRAINED = {False: "head", True: "every weight"}
WAYS = {1.0: "T = 1", 0.0: "greedy"}
BY = ("family", "reward", "every", "temperature")
STROKE = key("a walk as long (null)", "|", markersize=8)


@figures.register("head_and_all")
@styled
def head_and_all(rows: Rows) -> Drawing | None:
    """A column for what is trained and each decoding; None where nothing trained every weight beside the head."""
    moved = [_told(row) for row in pick(rows, name="accuracy", side="change", kind="rl")]
    names = [{row["reward"] for row in moved if row["every"] is every} for every in TRAINED]
    both = names[0] & names[1]
    means = after_holm(means_by([row for row in moved if row["reward"] in both], BY))
    if not means:
        return None
    walked = [_told({**row, "side": "change"}) for row in pick(rows, name="accuracy", side="walk", kind="rl")]
    walks = means_by([row for row in walked if row["reward"] in both], BY)
    columns = [
        Column(
            f"{trained}, {decoding}",
            "change in accuracy",
            0.0,
            _of(means, every, way),
            nulls=_of(walks, every, way),
            shared={"name": "accuracy", "side": "change"},
        )
        for every, trained in TRAINED.items()
        for way, decoding in WAYS.items()
    ]
    families = families_of(means)
    figure, table = grid(columns, families, sharex=True)
    text = of_runs(
        "accuracy after the last batch, less the run's own base", means, "bars", "0, and the walk", CORRECTED
    )
    legend = [null_handle("no change"), STROKE, *destroyed_key(runs_of(means))]
    return finish(figure, _title(means, families), text, table, legend)


def _told(row: Row) -> Row:
    """With the reward's own name, and whether every weight was trained."""
    name = str(row.get("reward"))
    return {**row, "reward": name.removesuffix(ALL), "every": name.endswith(ALL)}


def _of(means: Sequence[Mean], every: bool, way: float) -> list[Mean]:
    return [mean for mean in means if (mean.key["every"], mean.key["temperature"]) == (every, way)]


def _title(means: Sequence[Mean], families: Sequence[str]) -> str:
    """Per organism and decoding: the rewards under which accuracy rises, apart where what was trained matters."""
    text = []
    for family in families:
        said = []
        for way, decoding in WAYS.items():
            risen = {every: _risen(_of(means, every, way), family) for every in TRAINED}
            told = "; ".join(f"{TRAINED[every]}: {listing(names)}" for every, names in risen.items())
            said.append(f"{decoding} {listing(risen[True]) if risen[True] == risen[False] else told}")
        text.append(f"{look(family, FAMILIES).label}: {', '.join(said)}")
    return f"Rewards that raise accuracy, head or every weight trained. {'. '.join(text)}"


def _risen(means: Sequence[Mean], family: str) -> list[str]:
    return [
        str(m.key["reward"]).replace("_", " ") for m in means if m.key["family"] == family and m.verdict() == "rises"
    ]
