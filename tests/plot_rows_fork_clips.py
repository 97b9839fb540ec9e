"""Rows like those of `ForkClipsJob`, made up: the less likely way to open is cut above more often."""

import itertools
from typing import Any

from probe.experiments.fork_clips.counts import SIDES
from probe.measurements import COLUMNS, Row
from probe.rl.clip_report import PI_OLD_EDGES
from probe.rng import numpy_rng
from probe.studies.antithetic import BASES, CLIPS, FAMILIES

BLANK: Row = dict.fromkeys(COLUMNS)
BINS = (None, *itertools.pairwise(PI_OLD_EDGES))


def watched() -> list[Row]:
    """Every prior and clip on four bases."""
    return [
        _row(family, clip, base, who, part, edge)
        for family in FAMILIES
        for clip in CLIPS
        for base in BASES[:4]
        for who in ("code", "prose", None)
        for part in SIDES
        for edge in BINS
    ]


def _row(
    family: str, clip: str, base: tuple[str, int], who: str | None, part: str, edge: tuple[float, float] | None
) -> Row:
    told: dict[str, Any] = {"study": "fork_clips", "kind": "rl", "family": family, "size": base[0]}
    told |= {"base_seed": base[1], "reward": "random", "clip": clip, "rl_seed": 500, "step": 20, "temperature": 1.0}
    told |= {"name": "clipped", "side": "", "strategy": who, "group": "forks" if who else "elsewhere", "part": part}
    told |= {} if edge is None else {"pi_low": edge[0], "pi_high": edge[1]}
    rarer = who == ("prose" if family.startswith("p65") else "code")
    noise = 0.005 * float(numpy_rng("fork clips", family, clip, *base, str(who), part, str(edge)).uniform())
    value = noise + (0.02 if who is None else 0.12 if rarer else 0.05)
    numbers = {"value": value, "lo": None, "hi": None, "n": 5000, "n_problems": 20, "null": 0.0, "unit": "fraction"}
    return BLANK | told | {"destroyed": False} | numbers
