"""What figures of forecasts share: which rows they are, and which form of the accuracy is recommended."""

from collections.abc import Sequence

from probe.measurements import Row
from probe.plots._replicates import pick
from probe.plots._style import REWARDS, ordered

TRAITS = {
    "accuracy": "accuracy (fraction)",
    "code_share": "code share (fraction)",
    "parse_rate": "parse rate (fraction)",
    "tokens": "length (tokens)",
    "entropy": "entropy (nats a response)",
}
BASE = ("family", "size", "base_seed", "step")
MEAN_FIELD = "mean field"


def checkpoint_of(row: Row) -> tuple[object, ...]:
    """The checkpoint that a forecast is of."""
    return tuple(row.get(name) for name in BASE)


def changes(rows: Sequence[Row], trait: str, part: str | None = None) -> list[Row]:
    """Forecasts of a trait: in the recommended form, or in the one named."""
    found = pick(rows, name=f"forecast/{trait}", side="change")
    return [row for row in found if row.get("part") == (part or form(row))]


def furthest(rows: Sequence[Row], trait: str) -> list[Row]:
    """Forecasts of a trait after the first batches, by the mean field; the recommended form where there is none."""
    return changes(rows, trait, MEAN_FIELD) or changes(rows, trait)


def form(row: Row) -> str:
    """The form that forecasts what happens on new problems: the recommended one of accuracy, direct of other traits."""
    by_strategy = row.get("name") == "forecast/accuracy" and not row.get("informative")
    return "by strategy" if by_strategy else "direct"


def rewards_in(rows: Sequence[Row]) -> list[str]:
    """The rewards in their fixed order."""
    return [str(name) for name in ordered((row.get("reward") for row in rows), REWARDS) if name]
