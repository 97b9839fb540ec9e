"""Which runs does the figure of weights draw, and what do they say by kind of matrix? The mean over layers.

A run's null is the run of the same weights under the random reward; what is said of the two is paired by base.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from probe.measurements import Row
from probe.plots import _pairs
from probe.plots._pairs import EVERY, of_reward, pairs_of, run_look
from probe.plots._replicates import Mean, after_holm, mean_of
from probe.plots._style import REWARDS, Look

KINDS = {f"{name}_proj": name for name in ("q", "k", "v", "o", "gate", "up", "down")}
KINDS |= {"embed": "embedding", "head": "head"}
MOST = 14  # kinds that fit below each other
RANDOM = "random"
Cells = dict[tuple[str, str, str], list[Row]]  # reward, quantity, kind -> a row a pair, its layers averaged


@dataclass(frozen=True)
class Runs:
    """What is drawn: the reward, its null ("" where there is none), and their rows."""

    reward: str
    null: str
    rows: list[Row]

    @property
    def looks(self) -> dict[str, Look]:
        """Of the rewards that are drawn."""
        among = [name for name in (self.reward, self.null) if name]
        looks = {name: run_look(name, among) for name in among}
        return {
            name: replace(REWARDS[RANDOM], label=look.label) if name == self.null else look
            for name, look in looks.items()
        }

    @property
    def alone(self) -> bool:
        """Whether there is one pair of each, whose numbers are exact."""
        return all(len(pairs_of(of_reward(self.rows, name))) == 1 for name in self.looks)


def runs_of_weights(rows: Sequence[Row]) -> Runs | None:
    """The first reward with a null, else the first that is no null."""
    mine = _pairs.settled(rows) if rows else []
    names = _pairs.rewards_in(mine)
    if not names:
        return None
    informative = [name for name in names if name != _null_of(name)] or names
    reward = next((name for name in informative if _null_of(name) in names), informative[0])
    null = _null_of(reward) if _null_of(reward) in names and _null_of(reward) != reward else ""
    return Runs(reward, null, [row for row in mine if row["reward"] in (reward, null)])


def _null_of(reward: str) -> str:
    """The random reward, on the same weights."""
    return RANDOM + EVERY * reward.endswith(EVERY)


def kinds_in(rows: Sequence[Row]) -> list[str]:
    """Kinds of matrix, from those that read to the head; what other architectures have comes last."""
    matrices = {str(row["matrix"]) for row in rows if row["name"] == "weight_change/stable_rank"}
    known = [kind for kind in KINDS if any(row["matrix"] == kind for row in rows)]
    return [*known, *sorted(matrices - set(known))][:MOST]


def cells_of(rows: Sequence[Row], kinds: Sequence[str]) -> Cells:
    """By reward, quantity and kind of matrix: the mean over layers of each run's values, intervals left out."""
    layers: defaultdict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        layers[row["name"], row["matrix"], *pairs_of([row])].append(row)
    cells: Cells = defaultdict(list)
    for mine in layers.values():
        if (first := mine[0])["matrix"] in kinds:
            whole = {"module": first["matrix"], "layer": None, "component": None}
            whole |= dict.fromkeys(("value", "lo", "hi"), fmean(row["value"] for row in mine))
            cells[str(first["reward"]), first["name"].removeprefix("weight_change/"), first["matrix"]].append(
                first | whole
            )
    return cells


def differences(runs: Runs, cells: Cells, names: Sequence[str]) -> list[Mean]:
    """Of each quantity and kind: the run less its null from the same base, after Holm over all of them."""
    found = []
    for (reward, name, kind), rows in cells.items():
        null = {row["base_seed"]: row["value"] for row in _pairs.seeds_of(cells.get((runs.null, name, kind), []))}
        both = [row for row in _pairs.seeds_of(rows) if row["base_seed"] in null]
        if runs.null and reward == runs.reward and name in names and both:
            apart = [row | {"value": row["value"] - null[row["base_seed"]]} for row in both]
            found.append(mean_of({"name": name, "matrix": kind}, apart))
    return after_holm(found)
