"""Which rows were made to be compared with each other, whatever their study is called?

    by_reward runs of organisms under several rewards (or one, at one clip): the study with the most rewards
    by_clip   runs under one uninformative reward at several clip settings: the study with the most of them
    outputs   pairs that are known by their outputs alone: no organism stands behind them

Rows of several studies may be given together; a figure holds one. A study that varies nothing but the clip compares
clip settings, and its rows are no comparison of rewards.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

from probe.measurements import Row, Rows
from probe.plots._replicates import trained
from probe.plots._words import plain


def by_reward(rows: Rows) -> list[Row]:
    """The runs of the study that compares most rewards; none where no study does."""
    runs = [row for row in rows if row.get("size") and row.get("reward")]
    return _most(runs, ("study",), _rewards_compared)


def main_setting(rows: Sequence[Row]) -> tuple[list[Row], str]:
    """The rows of the size and clip with most rows, and what the caption says of the others ("" without any)."""
    groups = _groups(rows, ("size", "clip"))
    if len(groups) < 2:
        return list(rows), ""
    best = max(groups, key=lambda key: (len(groups[key]), str(key)))
    size, clip = map(plain, best)
    return groups[best], f"1 of {len(groups)} settings drawn (size {size}, clip {clip})"


def by_clip(rows: Rows) -> list[Row]:
    """The runs of the study and uninformative reward with most clip settings; none where none has two."""
    runs = [row for row in rows if row.get("kind") == "rl" and row.get("reward") and not row.get("informative")]
    return _most(runs, ("study", "reward"), lambda mine: _distinct(mine, "clip") - 1)


def outputs(rows: Rows) -> list[Row]:
    """Pairs without an organism, each at the lowest temperature it was sampled at."""
    pairs = _groups([row for row in trained(rows) if not row.get("size")], ("family", "reward"))
    cold = {key: min(float(row.get("temperature") or 0) for row in mine) for key, mine in pairs.items()}
    return [row for key, mine in pairs.items() for row in mine if float(row.get("temperature") or 0) == cold[key]]


def _most(rows: Rows, by: Sequence[str], score: Callable[[Rows], int]) -> list[Row]:
    """The group with the highest score above 0, of those the largest."""
    counts = [(score(mine), len(mine), mine) for mine in _groups(rows, by).values()]
    best = max((each for each in counts if each[0] > 0), key=lambda each: each[:2], default=None)
    return list(best[2]) if best else []


def _groups(rows: Rows, by: Sequence[str]) -> dict[tuple[object, ...], list[Row]]:
    groups: defaultdict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row.get(name) for name in by)].append(row)
    return groups


def _rewards_compared(rows: Rows) -> int:
    """How many; a study that varies nothing but the clip compares none."""
    compared = _distinct(rows, "reward")
    return compared if compared > 1 or _distinct(rows, "clip") == 1 else 0


def _distinct(rows: Rows, name: str) -> int:
    return len({row.get(name) for row in rows})
