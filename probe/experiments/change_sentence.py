"""What would a person say of a table of changes? What rose, what fell, and what could not be decided.

    Accuracy rose by .120 [.080, .160], from .480 to .600. Not decided: the share of code (+.010 [-.040, .060]). ...

A change is decided where its p is below LEVEL after Holm over all tests of the table (without one, where its interval
leaves out the null). Every number is one of the table, which `probe.experiments.changes` makes; nothing is worked out.
Without a decided change of a pair that is no null pair, "no difference is shown": that there is none is not.
"""

import math
from collections.abc import Sequence
from typing import Any

from probe.numbers import bracketed, decimal

LEVEL = 0.05
DIGITS = 3
HEADLINES = {  # measure, label -> what it is called
    "accuracy": "accuracy",
    "pass_at_k": "pass@{k}",
    "code_share": "the share of code",
    "parse_rate": "the share with an answer",
    "cut_off": "the share cut off",
    "entropy_shift": "entropy (nats)",
    "brier": "the Brier score",
}
OTHER_NULLS = ("fork_overlap", "kl_on_forks")  # their null is chance, not that nothing changed
Change = dict[str, Any]


def sentence(found: Sequence[Change], *, null_pair: bool = False) -> str:
    """Of one pair at one temperature, from the rows of `changes` about it (each with its p after Holm)."""
    tested = [row for row in found if row["p_holm"] is not None and row["name"] not in OTHER_NULLS]
    left = [row for row in tested if _is_decided(row)]
    told = [row for row in _headlines(found) if math.isfinite(row["value"])]
    if not told:
        return "Nothing could be compared."
    some = f"{len(left)} {'is' if len(left) == 1 else 'are'}" if left else "none is"
    counted = f"Of {len(tested)} tests for a change {some} left after Holm"
    null = f"{counted}; null of each change: {_null(told)}."
    if null_pair:
        return _of_null(left, told, counted)
    shown = [_moved(row) for row in told if _is_decided(row)]
    first = _listed(shown) if shown else "no difference is shown"
    undecided = [_undecided(row) for row in told if not _is_decided(row)]
    rest = f" Not decided: {', '.join(undecided)}." if undecided else " Nothing of this is left undecided."
    return f"{_capital(first)}.{rest} {null}"


def _of_null(left: list[Change], told: list[Change], counted: str) -> str:
    """The same weights twice: nothing should differ."""
    if not left:
        return f"Nothing differs, as it must: {_undecided(told[0])}. {counted}."
    names = ", ".join(dict.fromkeys(row["name"] for row in left))
    return f"The same weights differ ({names}), and nothing should. {counted}."


def _headlines(found: Sequence[Change]) -> list[Change]:
    """The rows that are spoken of, in order: of each measure the one of all responses, and of the most samples."""
    rows = []
    for name in HEADLINES:
        mine = [row for row in found if row["name"] == name and _is_whole(row)]
        rows += sorted(mine, key=lambda row: row.get("k") or 0)[-1:]
    return rows


def _is_whole(row: Change) -> bool:
    """Whether it is of all responses and tokens, not of a part of them."""
    parts = {row.get(name) for name in ("part", "strategy", "cell", "group")}
    return parts <= {None, "", "all"} and row.get("quantile") is None and row.get("bin") is None


def _is_decided(row: Change) -> bool:
    if row["p_holm"] is not None:
        return bool(row["p_holm"] < LEVEL)
    null = row["null"]
    return null is not None and math.isfinite(row["lo"]) and not row["lo"] <= null <= row["hi"]


def _moved(row: Change) -> str:
    way = "rose" if row["value"] > 0 else "fell"
    ends = f", from {_number(row['before'])} to {_number(row['after'])}" if row["before"] is not None else ""
    return f"{_called(row)} {way} by {_number(abs(row['value']))} {_limits(row, way)}{ends}"


def _undecided(row: Change) -> str:
    alone = row["p"] is not None and row["p"] < LEVEL
    why = "; clear alone, not among so many tests" if alone else ""
    return f"{_called(row)} ({decimal(row['value'], DIGITS, sign=True)} {_limits(row)}{why})"


def _called(row: Change) -> str:
    return HEADLINES[row["name"]].format(k=row.get("k"))


def _limits(row: Change, way: str = "rose") -> str:
    """The interval, turned round for what fell: a fall of .1 [.05, .15]."""
    lo, hi = (row["lo"], row["hi"]) if way == "rose" else (-row["hi"], -row["lo"])
    return bracketed(lo, hi, _number, missing="(no interval)")


def _number(value: float | None) -> str:
    return decimal(value, DIGITS)


def _null(told: list[Change]) -> str:
    nulls = sorted({row["null"] for row in told if row["null"] is not None})
    return ", ".join(decimal(null, DIGITS) if null else "0" for null in nulls) or "none"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{'; '.join(parts[:-1])}; and {parts[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
