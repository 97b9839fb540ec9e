"""What did the rival explanations predict of asking otherwise and of RL, before either was run, and what was found?

Numbers are changes of accuracy from the base as it is asked (T = 1), or what a way gives more than another; one a base,
judged like every other prediction (`probe.stats.predictions`). Written before the first run of the study `elicitation`.

    H1 strategy prior   whatever makes code likelier gives what RL gives; what a text says of the answer matters little
    H2 compression      under a reward without the answer, RL gives what greedy decoding gives, and no more
    H6 new skill        the true reward gives more than the best way without RL, where there is one strategy
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from probe.measurements import Rows
from probe.stats.predictions import INF, Contrast, Judged, judge


@dataclass(frozen=True)
class Elicited:
    """One base: by way its change of accuracy, and by run what it gives beyond the best way without RL."""

    family: str
    base: tuple[str, int]
    change: dict[str, float]
    beyond: dict[str, float]
    reward: str = ""  # every way of a base is in one of these
    temperature: float = 1.0


Number = Callable[[list[Elicited]], float]


def more(way: str, other: str) -> Number:
    """How much more accurate one way is than another; nan where a base lacks either."""
    return lambda bases: float(np.mean([_of(each.change, way) - _of(each.change, other) for each in bases]))


def beyond(run: str) -> Number:
    """What a run gives beyond the best way without RL."""
    return lambda bases: float(np.mean([_of(each.beyond, run) for each in bases]))


def _of(found: dict[str, float], way: str) -> float:
    return found.get(way, float("nan"))


def two(each: Elicited) -> bool:
    """Whether it has a better strategy that it seldom uses."""
    return each.family == "p30-code-even"


def one(each: Elicited) -> bool:
    """Whether it has one strategy alone."""
    return each.family.startswith("p00")


SAID: tuple[tuple[str, str, str, Callable[[Elicited], bool], Number, float, float], ...] = (
    (
        "steered", "H1", "two strategies: steering to code gives more than a random direction",
        two, more("steered", "random direction"), 0.0, INF,
    ),
    (
        "wrong example", "H1", "two strategies: a wrong example gives what a right one gives",
        two, more("one right example", "one wrong example"), -0.05, 0.05,
    ),
    (
        "python", "H1", "two strategies: python, greedy, gives nothing beyond the best without RL",
        two, beyond("RL python, greedy"), -INF, 0.03,
    ),
    (
        "format", "H2", "one strategy: format, T = 1, gives no more than greedy decoding",
        one, more("RL format", "greedy"), -INF, 0.03,
    ),
    (
        "truth", "H6", "one strategy: ground truth, all weights, greedy, gives more than the best without RL",
        one, beyond("RL ground_truth_all, greedy"), 0.03, INF,
    ),
)  # fmt: skip
CONTRASTS = tuple(
    Contrast(name, why, says, "", 1.0, chosen, number, low, high, "difference in accuracy")  # type: ignore[arg-type]
    for name, why, says, chosen, number, low, high in SAID
)


def elicited_of(rows: Rows) -> list[Elicited]:
    """The bases behind the rows of `ElicitationJob`s."""
    found: defaultdict[tuple[str, str, int], tuple[dict[str, float], dict[str, float]]]
    found = defaultdict(lambda: ({}, {}))
    for row in rows:
        if row.get("side") == "change" and row.get("part") and row.get("value") is not None:
            names = {"accuracy": 0, "beyond": 1}
            if row.get("name") in names:
                found[row["family"], row["size"], row["base_seed"]][names[row["name"]]][row["part"]] = row["value"]
    known = {key: held for key, held in found.items() if held[1]}  # nobody else's rows have `beyond`
    return [Elicited(family, (size, seed), *held) for (family, size, seed), held in known.items()]


def judged(rows: Rows) -> list[Judged]:
    """Every prediction that some base can be held against."""
    found = judge(elicited_of(rows), CONTRASTS)  # type: ignore[arg-type]
    return [each for each in found if any(np.isfinite(value) for _, value in each.bases)]
