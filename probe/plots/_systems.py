"""The real pairs as systems: what was measured before, and after each reward, each system once.

A pair is one (family, reward). The side "before" belongs to the family, whichever pair it was measured in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from probe.plots import Rows
from probe.plots._replicates import Row, limits, pick
from probe.plots._style import GREY, SYSTEMS, Look, look, ordered
from probe.plots._words import direction, plain, signed

BASE = Look(GREY, "o", "-", "before")


@dataclass(frozen=True)
class System:
    """A model before (reward None) or after RL: its look and its rows."""

    family: str
    reward: str | None
    look: Look
    rows: tuple[Row, ...]

    def only(self, name: str) -> list[Row]:
        """Its rows of one estimate."""
        return [row for row in self.rows if row["name"] == name]


def systems(rows: Rows, names: Sequence[str]) -> list[System]:
    """Systems of the real study with any of these estimates: per family, before and then after each reward."""
    real = pick(rows, name=tuple(names), study="real", kind="rl")
    found = []
    for family in ordered((row["family"] for row in real), {}):
        mine = pick(real, family=family)
        first = {(row["name"], row["level"]): row for row in pick(mine, side="before")}
        found += [System(family, None, BASE, tuple(first.values()))] if first else []
        for reward in ordered((row["reward"] for row in mine), SYSTEMS):
            after = pick(mine, side="after", reward=reward)
            found += [System(family, reward, look(reward, SYSTEMS), tuple(after))] if after else []
    return found


def pairs(rows: Rows, names: Sequence[str]) -> dict[tuple[str, str], list[Row]]:
    """Rows of each real pair (family, reward) with any of these estimates, of either side, change or none."""
    real = pick(rows, name=tuple(names), study="real", kind="rl")
    keys = dict.fromkeys((row["family"], row["reward"]) for row in real)
    found = {key: pick(real, family=key[0], reward=key[1]) for key in keys}
    return {key: found[key] for key in sorted(found, key=lambda key: (str(key[0]), _place(key[1]), str(key[1])))}


def pair_name(key: tuple[str, str]) -> str:
    """What a pair is called."""
    return f"{plain(key[0])} → {look(key[1], SYSTEMS).label}"


def p_text(p: float | None) -> str:
    """p = .03, p < .001, or "" where there was no test."""
    if p is None or p != p:
        return ""
    told = "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)
    return told.replace(" ", "\u00a0")


def said(row: Row) -> str:
    """What the interval of a change shows, with its size where it shows a direction."""
    word = direction(*limits(row))
    return f"{word} {signed(row['value'])}" if word in ("rises", "falls") else word


def mark(row: Row, reward: str | None) -> Row:
    """A row of the real study as it stands in a figure's table."""
    kept = ("family", "name", "side", "level", "value", "lo", "hi", "n", "n_problems", "null", "p")
    return {"mark": "system", "reward": reward, **{name: row.get(name) for name in kept}}


def _place(reward: object) -> int:
    known = list(SYSTEMS)
    return known.index(str(reward)) if reward in SYSTEMS else len(known)
