"""What did clip bias, compression and noise predict of the random reward, before it was run, and what was found?

Numbers are what a run and its antithetic twin have in common (`probe.stats.antithetic`), one a base; judged like every
other prediction (`probe.stats.predictions`). Written before the first run of the study `antithetic`.

    clip bias     (2506.10947)  the share of code moves away from a half, with the sign of the prior
    compression   (2512.16912)  the model becomes surer of its tokens than a walk makes it, whatever its prior
    noise                       without clipping nothing is left; a walk as long moves no share
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from probe.measurements import Rows
from probe.stats.predictions import INF, Contrast, Judged, judge

TRAITS = ("accuracy", "code_share", "parse_rate", "token_probability")


@dataclass(frozen=True)
class Twins:
    """One run and its twin: what is common to both, by trait, and of the walk beside it."""

    family: str
    base: tuple[str, int]
    reward: str  # the clip setting
    temperature: float
    common: dict[str, float]
    walk: dict[str, float]


Chosen = Callable[[Twins], bool]
Number = Callable[[list[Twins]], float]
Region = tuple[float, float]


def of(trait: str) -> Number:
    """Mean over the runs of a base."""
    return lambda twins: float(np.mean([each.common[trait] for each in twins]))


def walked(trait: str) -> Number:
    """The same of their walks."""
    return lambda twins: float(np.mean([each.walk[trait] for each in twins]))


def beyond_walk(trait: str) -> Number:
    """What is common to the twins less what is common to the walks."""
    return lambda twins: float(np.mean([each.common[trait] - each.walk[trait] for each in twins]))


def prior(percent: int) -> Chosen:
    """Whether a base prefers code that often."""
    return lambda twins: twins.family.startswith(f"p{percent}")


def both(twins: Twins) -> bool:
    """Either prior."""
    return bool(twins)


UP, DOWN, STILL = (0.0, INF), (-INF, 0.0), (-0.03, 0.03)
SHARE, SURER = of("code_share"), beyond_walk("token_probability")
SAID: tuple[tuple[str, str, str, str, Chosen, Number, Region], ...] = (
    ("away at .2, above", "H1", "clip .2, prior .65: the share of code rises", "0.2", prior(65), SHARE, UP),
    ("away at .2, below", "H1", "clip .2, prior .3: it falls", "0.2", prior(30), SHARE, DOWN),
    ("away at .05, above", "H1", "clip .05, prior .65: it rises", "0.05", prior(65), SHARE, UP),
    ("away at .05, below", "H1", "clip .05, prior .3: it falls", "0.05", prior(30), SHARE, DOWN),
    ("surer than a walk at .2", "H2", "clip .2: tokens become likelier than by a walk", "0.2", both, SURER, UP),
    ("surer than a walk at .05", "H2", "clip .05: tokens become likelier than by a walk", "0.05", both, SURER, UP),
    ("dropped", "noise", "old log-probs dropped: no share moves", "old_dropped", both, SHARE, STILL),
    ("rloo", "noise", "RLOO without clip: no share moves", "rloo", both, SHARE, STILL),
    ("walk", "noise", "a walk as long as clip .2: no share moves", "0.2", both, walked("code_share"), STILL),
)
UNITS = ("change of the share of code", "change of token probability")
CONTRASTS = tuple(
    Contrast(name, why, says, setting, 1.0, chosen, number, low, high, UNITS[number is SURER])  # type: ignore[arg-type]
    for name, why, says, setting, chosen, number, (low, high) in SAID
)


def twins_of(rows: Rows) -> list[Twins]:
    """The pairs behind the rows of `AntitheticJob`s; one that lacks a trait at T = 1 is left out."""
    found: defaultdict[tuple[str, str, int, str, float], dict[tuple[str, str], float]] = defaultdict(dict)
    for row in rows:
        known = None not in (row.get("value"), row.get("temperature"))
        if known and row.get("side") in ("change", "walk") and row.get("name") in TRAITS:
            at = (row["family"], row["size"], row["base_seed"], row["clip"], float(row["temperature"]))
            found[at][row["side"], row["name"]] = row["value"]
    pairs = []
    for (family, size, seed, setting, temperature), numbers in found.items():
        sides = [{n: numbers[side, n] for n in TRAITS if (side, n) in numbers} for side in ("change", "walk")]
        if sides[1] and (temperature != 1.0 or all(len(side) == len(TRAITS) for side in sides)):
            pairs.append(Twins(family, (size, seed), setting, temperature, *sides))
    return pairs


def judged(rows: Rows) -> list[Judged]:
    """Every prediction that some base can be held against."""
    return [each for each in judge(twins_of(rows), CONTRASTS) if each.told]  # type: ignore[arg-type]
