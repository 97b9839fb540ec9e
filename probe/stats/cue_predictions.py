"""What was expected of cues before the study `cues` was run, and what was found? One number a base.

Judged like every other prediction (`probe.stats.predictions`). Written before any RL on cues, and after one organism
had been looked at: accuracy with a right cue .43, with a wrong one .30, without .29; 10 % of its answers the wrong cue.

    linked     a cue that was right in 80 % of the texts is followed, and its removal hurts as taught
    shuffled   its twin follows no more than chance
    conflict   a wrong cue is followed where no value could be worked out anyway, so it costs no right answer
    computed   where the text shows its values the cue does not matter: RL that moves to code lowers following,
               whether it pays for answers or for the look of code
"""

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from probe.measurements import Rows
from probe.stats.predictions import INF, Contrast, Judged, judge

LINKED, SHUFFLED, TRUTH, CODE = "cued80", "cued-shuffled", "ground_truth", "python"
At = tuple[str, str, str, str, str]  # family, reward, side, name, edit


@dataclass(frozen=True)
class Base:
    """Every number of one base at T = 1."""

    base: tuple[str, int]
    family: str = ""
    reward: str = "cues"
    temperature: float = 1.0
    at: dict[At, float] = field(default_factory=dict)


Number = Callable[[list[Base]], float]


def of(family: str, reward: str, side: str, name: str, edit: str) -> Number:
    """That number."""
    return lambda bases: bases[0].at.get((family, reward, side, name, edit), math.nan)


def beyond_chance(family: str) -> Number:
    """How much oftener an answer is the wrong cue than it would be without it, before RL."""
    shown, hidden = (of(family, TRUTH, "before", "follows", f"cue {cue}") for cue in ("wrong", "removed"))
    return lambda bases: shown(bases) - hidden(bases)


def removal(edit: str) -> Number:
    """What taking the cue away does, before RL."""
    return of(LINKED, TRUTH, "before", "removal", edit)


def less(reward: str) -> Number:
    """By how much the run changes following."""
    return of(LINKED, reward, "change", "follows", "cue wrong")


UP, DOWN, STILL = (0.0, INF), (-INF, 0.0), (-0.02, 0.02)
WALK = of(LINKED, TRUTH, "walk", "follows", "cue wrong")
SAID: tuple[tuple[str, str, str, Number, str, tuple[float, float]], ...] = (
    ("followed", "linked", "a wrong cue is followed beyond chance", beyond_chance(LINKED), "share", UP),
    ("not followed", "shuffled", "that of the twin is not", beyond_chance(SHUFFLED), "share", STILL),
    ("truth", "computed", "the true reward lowers it", less(TRUTH), "share", DOWN),
    ("code", "computed", "paid for code alone: it falls too", less(CODE), "share", DOWN),
    ("walk", "null", "a walk as long leaves it", WALK, "share", STILL),
    ("right hurts", "linked", "a right cue removed: it falls", removal("cue right"), "accuracy", DOWN),
    ("as taught hurts", "linked", "cues as taught removed: it falls", removal("as taught"), "accuracy", DOWN),
    (
        "wrong costs nothing",
        "conflict",
        "a wrong cue removed: no change",
        removal("cue wrong"),
        "accuracy",
        (-0.03, 0.03),
    ),
)
UNITS = {"share": "share of answers that are the wrong cue, or its change", "accuracy": "change of accuracy"}


def _always(base: Base) -> bool:
    return bool(base.at)


CONTRASTS = tuple(
    Contrast(name, why, says, "cues", 1.0, _always, number, low, high, UNITS[unit])  # type: ignore[arg-type]
    for name, why, says, number, unit, (low, high) in SAID
)


def bases_of(rows: Rows) -> list[Base]:
    """The bases behind the rows of `CueJob`s at T = 1."""
    found: defaultdict[tuple[str, int], dict[At, float]] = defaultdict(dict)
    for row in rows:
        asked = row.get("edit") in ("cue right", "cue wrong", "cue removed", "as taught") and not row.get("strategy")
        if asked and row.get("value") is not None and row.get("temperature") == 1.0:
            at = (row["family"], row["reward"], row["side"], row["name"], row["edit"])
            found[row["size"], row["base_seed"]][at] = row["value"]
    return [Base(base, at=at) for base, at in found.items()]


def judged(rows: Rows) -> list[Judged]:
    """Every prediction that some base can be held against."""
    found = judge(bases_of(rows), CONTRASTS)  # type: ignore[arg-type]
    return [each for each in found if any(math.isfinite(value) for _, value in each.bases)]
