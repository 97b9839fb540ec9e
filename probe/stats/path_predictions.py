"""What was said of few tokens and straight paths before the study `paths` was run, and what was found?

Numbers are one a base; judged like every other prediction (`probe.stats.predictions`). Written when base mini-0, which
the study leaves out, had been looked at under `python` and the true reward.

    few tokens     (2603.22446)  4 % of the tokens recover RL's gain, or undo it; most distributions are as they were
    line           (2605.21468)  the path has one direction, is linear in the batches, and goes on as it began
    any change     as many swaps anywhere, a walk of the same steps, a direction as long do as much
    one fork       (ours)        under a reward for the strategy alone, 4 % of tokens carry the move between strategies
"""

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from probe.measurements import Row, Rows
from probe.stats.predictions import INF, Contrast, Judged, judge

NAMES = ("cross_", "recovered_", "removed_", "weight_path/", "path_")
FEW = 0.96  # quantile of a budget of 4 %
Place = tuple[str, ...]  # name, side, and what varies: edit and quantile, or part


@dataclass(frozen=True)
class Path:
    """The numbers of one run at one temperature (0: of its weights too), with their nulls."""

    family: str
    base: tuple[str, int]
    reward: str
    temperature: float
    values: dict[Place, float]
    nulls: dict[Place, float]

    def at(self, *place: str) -> float:
        """A number; nan where there is none."""
        return self.values.get(place, math.nan)

    def beyond(self, *place: str) -> float:
        """The same less its null."""
        return self.at(*place) - self.nulls.get(place, math.nan)


Number = Callable[[list[Path]], float]
Region = tuple[float, float]


def of(*place: str) -> Number:
    """That number, mean over the runs of a base."""
    return lambda paths: float(np.mean([path.at(*place) for path in paths]))


def beyond(*place: str) -> Number:
    """That number less its null."""
    return lambda paths: float(np.mean([path.beyond(*place) for path in paths]))


def every(path: Path) -> bool:
    """Any run."""
    return bool(path.values)


def swapped(name: str, side: str) -> tuple[str, str, str]:
    """At a budget of 4 %, where the two part most."""
    return name, side, f"divergence {FEW:g}"


RECOVERED, REMOVED = swapped("recovered_accuracy", "before"), swapped("removed_accuracy", "after")
CODE, UNCHANGED = swapped("recovered_code_share", "before"), ("cross_unchanged", "before", "")
LINE, ANY_LINE = (("path_recovered_accuracy", "change", part) for part in ("line", "random line"))
FIRST, COMPONENT, LINEAR, RANK = (
    (f"weight_path/{name}", "change", "all") for name in ("first_direction", "first_component", "linear", "rank_one")
)
MOST, MORE, NOTHING = (0.8, INF), (0.2, INF), (-0.1, 0.1)
SAID: tuple[tuple[str, str, str, str, float, Number, Region], ...] = (
    ("recovers", "few", "T = 1: 4 % of tokens recover .8 of the gain", "ground_truth", 1, of(*RECOVERED), MOST),
    ("recovers greedy", "few", "greedy: the same", "ground_truth", 0, of(*RECOVERED), MOST),
    ("removes", "few", "T = 1: 4 % of the base's tokens undo .8 of it", "ground_truth", 1, of(*REMOVED), MOST),
    ("removes greedy", "few", "greedy: the same", "ground_truth", 0, of(*REMOVED), MOST),
    ("where", "few", "T = 1: .2 more than as many anywhere", "ground_truth", 1, beyond(*RECOVERED), MORE),
    ("unchanged", "few", "T = 1: .83 of distributions are unchanged", "ground_truth", 1, of(*UNCHANGED), (0.83, INF)),
    ("fork", "fork", "python, T = 1: 4 % bring .7 of the share of code", "python", 1, of(*CODE), (0.7, INF)),
    ("one direction", "line", "first direction: .9 of the path", "ground_truth", 0, of(*FIRST), (0.9, INF)),
    ("beyond a walk", "line", "first component: .1 beyond walks", "ground_truth", 0, beyond(*COMPONENT), (0.1, INF)),
    ("linear", "line", "R² in batches: .9", "ground_truth", 0, of(*LINEAR), (0.9, INF)),
    ("goes on", "line", "T = 1: the first quarter as long: .8 of the gain", "ground_truth", 1, of(*LINE), MOST),
    ("all weights", "line", "the same, all weights trained", "ground_truth_all", 1, of(*LINE), MOST),
    ("any direction", "any", "T = 1: a random direction brings nothing", "ground_truth", 1, of(*ANY_LINE), NOTHING),
    ("random reward", "any", "random reward: component as of walks", "random", 0, beyond(*COMPONENT), (-0.05, 0.05)),
    ("rank", "line", "final change: rank one beyond a walk's", "ground_truth", 0, beyond(*RANK), (0.0, INF)),
)  # fmt: skip
UNIT = "share: of RL's change, of tokens, of the path"
CONTRASTS = tuple(
    Contrast(name, why, says, reward, temperature, every, number, low, high, UNIT)  # type: ignore[arg-type]
    for name, why, says, reward, temperature, number, (low, high) in SAID
)


def paths_of(rows: Rows) -> list[Path]:
    """The runs behind the rows of both experiments, by temperature."""
    found: defaultdict[tuple[str, str, int, str, float, int | None], list[Row]] = defaultdict(list)
    for row in rows:
        if str(row.get("name")).startswith(NAMES) and row.get("kind") == "rl" and row.get("value") is not None:
            at = (
                row["family"],
                row["size"],
                row["base_seed"],
                row["reward"],
                float(row["temperature"]),
                row.get("rl_seed"),
            )
            found[at].append(row)
    return [
        Path(
            family,
            (size, seed),
            reward,
            temperature,
            {_place(row): row["value"] for row in mine},
            {_place(row): row["null"] for row in mine if row["null"] is not None},
        )
        for (family, size, seed, reward, temperature, _), mine in found.items()
    ]


def _place(row: Row) -> Place:
    quantile = "" if row.get("quantile") is None else f"{row['quantile']:g}"
    varies = (row.get("edit"), quantile, row.get("part"), row.get("module"))
    return row["name"], row["side"], " ".join(str(each) for each in varies if each)


def judged(rows: Rows) -> list[Judged]:
    """Every prediction that some base can be held against."""
    return [each for each in judge(paths_of(rows), CONTRASTS) if each.told]  # type: ignore[arg-type]
