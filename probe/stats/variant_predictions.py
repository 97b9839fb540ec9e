"""What did the papers predict of the variants of the recipe, before they were run here, and what was found?

A contrast is one number a base: the change of one trait under one variant, or how far two variants are apart. Judged
like every other prediction (`probe.stats.predictions`). Written before the first run of the study `variants`; of one of
its six bases pass@k under the true reward on all tokens had been seen, when the samples were timed.

    forks        (2506.01939)  on forks alone as good as on all tokens; on the others worse
    signs        (2506.01347)  wrong responses alone keep pass@128; right ones alone lower it, and entropy
    one example  (2504.20571)  one example does most of what all of them do
    clip         (2506.10947)  of the true reward, unlike the random one, clipping is not the cause
    calibration  (2507.16806)  the true reward makes agreement a worse guide to what is right
    null         a random change as large moves no accuracy

At k = 128 these bases solve nearly all problems, so pass@128 can fall and hardly rise; pass@8 stands beside it.
"""

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from probe.measurements import Row, Rows
from probe.stats.predictions import INF, Contrast, Judged, judge

WALKED = "a random change"
Trait = tuple[str, int | None]  # name, k
ACCURACY, ENTROPY, ECE = ("accuracy", None), ("entropy", None), ("ece", None)
AT_8, AT_128 = ("pass_at_k", 8), ("pass_at_k", 128)


@dataclass(frozen=True)
class Base:
    """What every variant changed on one base at T = 1, by variant and trait."""

    base: tuple[str, int]
    family: str = ""
    reward: str = "variants"
    temperature: float = 1.0
    change: dict[tuple[str, Trait], float] = field(default_factory=dict)


Number = Callable[[list[Base]], float]


def of(variant: str, trait: Trait) -> Number:
    """Its change."""
    return lambda bases: bases[0].change.get((variant, trait), math.nan)


def apart(first: str, second: str, trait: Trait) -> Number:
    """The change of the first less that of the second."""
    return lambda bases: of(first, trait)(bases) - of(second, trait)(bases)


ALL, FORKS, OTHERS, RIGHT, WRONG = "ground_truth", "forks_only", "non_forks_only", "positive_only", "negative_only"
UP, DOWN, ALIKE, KEPT = (0.0, INF), (-INF, 0.0), (-0.05, 0.05), (-0.03, INF)
SAID: tuple[tuple[str, str, str, Number, Trait, tuple[float, float]], ...] = (
    ("forks as good", "forks", "forks alone: no worse than all tokens", apart(FORKS, ALL, ACCURACY), ACCURACY, KEPT),
    ("others worse", "forks", "all but forks: worse than all tokens", apart(OTHERS, ALL, ACCURACY), ACCURACY, DOWN),
    ("wrong alone gains", "signs", "wrong responses alone: it rises", of(WRONG, ACCURACY), ACCURACY, UP),
    ("one example gains", "one example", "it rises", of("one_shot", ACCURACY), ACCURACY, UP),
    ("one as good", "one example", "within .05 of all", apart("one_shot", ALL, ACCURACY), ACCURACY, (-0.05, INF)),
    ("dropped", "clip", "old log-probs dropped: alike", apart("old_dropped", ALL, ACCURACY), ACCURACY, ALIKE),
    ("no clip", "clip", "no clip: alike", apart("no_clip", ALL, ACCURACY), ACCURACY, ALIKE),
    ("walk", "null", "a random change as large: none", of(WALKED, ACCURACY), ACCURACY, (-0.03, 0.03)),
    ("wrong alone keeps", "signs", "wrong alone, k = 128: kept", of(WRONG, AT_128), AT_128, KEPT),
    ("right alone loses", "signs", "right alone, k = 128: it falls", of(RIGHT, AT_128), AT_128, DOWN),
    ("right below wrong", "signs", "right alone, k = 8: below wrong alone", apart(RIGHT, WRONG, AT_8), AT_8, DOWN),
    ("right alone narrows", "signs", "right alone: it falls", of(RIGHT, ENTROPY), ENTROPY, DOWN),
    ("wrong keeps entropy", "signs", "wrong alone: above right alone", apart(WRONG, RIGHT, ENTROPY), ENTROPY, UP),
    ("overconfident", "calibration", "the true reward: it rises", of(ALL, ECE), ECE, UP),
)
UNITS = {
    "accuracy": "change of accuracy at T = 1",
    "pass_at_k": "change of pass@k",
    "entropy": "change of entropy (nats)",
}
UNITS |= {"ece": "change of ECE of agreement"}


def _always(base: Base) -> bool:
    return bool(base.change)


CONTRASTS = tuple(
    Contrast(name, why, says, "variants", 1.0, _always, number, low, high, UNITS[trait[0]])  # type: ignore[arg-type]
    for name, why, says, number, trait, (low, high) in SAID
)


def of_variants(rows: Rows) -> list[Row]:
    """The rows of runs that stand beside their walk in many samples: those of `VariantJob`s."""
    walked = {_run(row) for row in rows if (row.get("name"), row.get("side")) == ("pass_at_k", "walk")}
    return [row for row in rows if row.get("value") is not None and _run(row) in walked]


def bases_of(rows: Rows) -> list[Base]:
    """The bases behind the rows of `VariantJob`s, at T = 1; a walk is that of the true reward on all tokens."""
    found: defaultdict[tuple[str, int], dict[tuple[str, Trait], float]] = defaultdict(dict)
    for row in of_variants(rows):
        walked = row["side"] == "walk"
        if row["temperature"] == 1.0 and (row["side"] == "change" or (walked and row["reward"] == ALL)):
            name = WALKED if walked else row["reward"]
            found[row["size"], row["base_seed"]][name, (row["name"], row.get("k"))] = row["value"]
    return [Base(base, change=change) for base, change in found.items()]


def _run(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("study", "family", "size", "base_seed", "reward", "rl_seed"))


def judged(rows: Rows) -> list[Judged]:
    """Every prediction that some base can be held against."""
    found = judge(bases_of(rows), CONTRASTS)  # type: ignore[arg-type]
    return [each for each in found if any(math.isfinite(value) for _, value in each.bases)]
