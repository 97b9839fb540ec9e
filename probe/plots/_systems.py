"""The real pairs and the systems in them: a model before, and after each reward, each system once.

A pair is one (family, reward). The side "before" belongs to the family, whichever pair it was measured in. Two rewards
may share their outputs and differ in the stated confidence alone (a confidence read off the same answers): but for
calibration such a pair is drawn once, and the caption says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from probe.measurements import VARIES, Row, Rows
from probe.plots._captions import PROBLEMS, caption, counts
from probe.plots._designs import outputs
from probe.plots._replicates import columns_of, limits, pick
from probe.plots._style import GREY, SYSTEMS, Look, look, ordered
from probe.plots._words import direction, listing, plain, signed, span

BASE = Look(GREY, "o", "-", "before")
IDENTITY = ("name", "side", "value")
CONFIDENCE = ("brier", "ece", "auroc", "reliability")

OUTCOMES = ("outcome_share", "outcome_count")


@dataclass(frozen=True)
class RealPair:
    """Rows of one pair, of every side; `twins` are the rewards with the very same outputs."""

    family: str
    reward: str
    rows: tuple[Row, ...]
    twins: tuple[str, ...] = ()

    @property
    def look(self) -> Look:
        return look(self.reward, SYSTEMS)


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


def pairs(rows: Rows, names: Sequence[str], *, twins: bool = False) -> list[RealPair]:
    """Pairs of outputs with any of these estimates; pairs of one output are one, unless `twins` is set."""
    real = outputs(rows)
    known: dict[object, RealPair] = {}
    for family in ordered((row["family"] for row in real), {}):
        for reward in ordered((row["reward"] for row in pick(real, family=family)), SYSTEMS):
            mine = pick(real, family=family, reward=reward)
            same = frozenset((*map(row.get, IDENTITY), *_varying(row)) for row in mine if row["name"] not in CONFIDENCE)
            key = (family, reward) if twins or not same else (family, same)
            if key in known:
                known[key] = replace(known[key], twins=(*known[key].twins, reward))
            else:
                known[key] = RealPair(family, reward, tuple(pick(mine, name=tuple(names))))
    return [pair for pair in known.values() if pair.rows]


def systems(drawn: Sequence[RealPair]) -> list[System]:
    """The systems in these pairs: per family, before and then after each reward."""
    held: list[System] = []
    for family in dict.fromkeys(pair.family for pair in drawn):
        mine = [pair for pair in drawn if pair.family == family]
        before = {(row["name"], *_varying(row)): row for pair in mine for row in pick(pair.rows, side="before")}
        held += [System(family, None, BASE, tuple(before.values()))] if before else []
        after = [(pair, tuple(pick(pair.rows, side="after"))) for pair in mine]
        held += [System(family, pair.reward, pair.look, some) for pair, some in after if some]
    return held


def models(drawn: Sequence[RealPair] | Sequence[System]) -> str:
    """The families these are of."""
    return listing(dict.fromkeys(plain(item.family) for item in drawn))


def pair_name(pair: RealPair, drawn: Sequence[RealPair]) -> str:
    """What a pair is called: the reward, and the family too where there are several."""
    several = len({other.family for other in drawn}) > 1
    return f"{plain(pair.family)} → {pair.look.label}" if several else pair.look.label


def caption_of(drawn: Sequence[RealPair], null: str, names: dict[str, str]) -> str:
    """The caption of paired outputs; p of the change of each estimate in `names`."""
    tests = []
    for pair in drawn:
        moved = [(label, row) for name, label in names.items() for row in pick(pair.rows, name=name, side="change")]
        exact = [f"{label} {_p_text(row['p'])}" for label, row in moved if _p_text(row.get("p"))]
        tests += [f"{pair_name(pair, drawn)} {', '.join(exact)}"] if exact else []
    flips = f"sign flips: {'; '.join(tests)}" if tests else ""
    return caption(f"{models(drawn)}, real outputs", _paired(drawn), PROBLEMS, null, flips, _twins_of(drawn))


def _paired(drawn: Sequence[RealPair]) -> str:
    """n, for the caption."""
    rows = [row for pair in drawn for row in pair.rows]
    problems = span(counts(rows, "n_problems"), "problem")
    if counted_as(drawn) == "problems":
        return f"{problems}, paired"
    cells = [row for row in rows if row["name"] in OUTCOMES]
    return f"{span(counts(cells, 'n'), 'response pair')} on {problems}"


def counted_as(drawn: Sequence[RealPair]) -> str:
    """What the cells of these pairs count: problems, or pairs of responses where a problem has several."""
    cells = [row for pair in drawn for row in pair.rows if row["name"] in OUTCOMES]
    return "response pairs" if any(row["n"] != row["n_problems"] for row in cells) else "problems"


def _twins_of(drawn: Sequence[RealPair]) -> str:
    """Which rewards are not drawn because all their numbers are those of another."""
    text = [f"{listing(plain(twin) for twin in pair.twins)} as {pair.look.label}" for pair in drawn if pair.twins]
    return f"drawn once: {'; '.join(text)}" if text else ""


def _p_text(p: float | None) -> str:
    """p=.030, p<.001, or "" where there was no test."""
    if p is None or p != p:
        return ""
    return "p<.001" if p < 0.001 else f"p={p:.3f}".replace("0.", ".", 1)


def said(row: Row) -> str:
    """What the interval of a change shows, with its size where it shows a direction."""
    word = direction(*limits(row))
    return f"{word} {signed(row['value'])}" if word in ("rises", "falls") else word


def mark(row: Row, reward: str | None) -> Row:
    """A row of a pair of outputs as it stands in a figure's table."""
    kept = ("family", "name", "side", *VARIES, "value", "lo", "hi", "n", "n_problems", "null", "p")
    return columns_of(row, kept, mark="system", reward=reward)


def _varying(row: Row) -> tuple[object, ...]:
    return tuple(row.get(name) for name in VARIES)
