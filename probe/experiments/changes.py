"""What changed, as a table: before, after, the change with its interval and n, its null, and p after Holm.

One row per change estimate, and per estimate of the pair as a whole that has a null (KL on forks, ...). What is the
change of accuracy under another name is left out. Holm's family is every tested row of the table.
"""

from collections.abc import Sequence
from typing import Any

KEY = ("family", "reward", "temperature", "name")
ACCURACY_AGAIN: tuple[dict[str, Any], ...] = (
    {"name": "gain_parts", "part": "total"},
    {"name": "switch_gain", "cell": "total"},
    {"name": "pass_at_k", "k": 1},
)
UNTESTED = ("destroyed", "outcome_share", "outcome_count")


def changes(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Measurement rows -> one dict per change, with `before`, `after` and `p_holm`."""
    from probe.measurements import VARIES
    from probe.stats import holm

    same = (*KEY, *VARIES)
    sides = {(*(row[key] for key in same), row["side"]): row["value"] for row in rows}
    kept = [row for row in rows if _is_change(row)]
    found = [
        {key: row[key] for key in (*same, "value", "lo", "hi", "n", "n_problems", "unit", "null", "p")}
        | {side: sides.get((*(row[key] for key in same), side)) for side in ("before", "after")}
        for row in kept
    ]
    tested = [row for row in found if row["p"] is not None]
    adjusted = dict(zip(map(id, tested), holm([row["p"] for row in tested]).tolist(), strict=True)) if tested else {}
    return [row | {"p_holm": adjusted.get(id(row))} for row in found]


def _is_change(row: dict[str, Any]) -> bool:
    """Whether a row is a change, or of the pair as a whole with a null to hold it against."""
    whole = row["side"] == "" and row["null"] is not None and row["name"] not in UNTESTED
    again = any(known.items() <= row.items() for known in ACCURACY_AGAIN)
    return (row["side"] == "change" or whole) and not again
