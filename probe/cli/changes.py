"""What changed, as a table: before, after, the change with its interval and n, its null, and p after Holm.

One row per change estimate, and per estimate of the pair as a whole that has a null (KL on forks, ...). What is the
change of accuracy under another name is left out. Holm's family is every tested row of the table. Cells (both right,
only before, ...) have a table of their own: they are counts, and their test is that of accuracy.
"""

from collections.abc import Sequence
from typing import Any

from probe.cli.show import interval, number, p_value, table

CELLS = {"both": "both right", "only_before": "only before", "only_after": "only after", "neither": "neither"}
KEY = ("family", "reward", "temperature", "name")
ACCURACY_AGAIN: tuple[dict[str, Any], ...] = (
    {"name": "gain_parts", "part": "total"},
    {"name": "switch_gain", "cell": "total"},
    {"name": "pass_at_k", "k": 1},
)
UNTESTED = ("destroyed", "outcome_share", "outcome_count")
CELL_NUMBERS = ("count", "95 % interval", "share", "of", "null")
COLUMNS = ("measure", "before", "after", "change", "95 % interval", "n", "problems", "null", "p", "p (Holm)")


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


def show_changes(found: Sequence[dict[str, Any]], title: str) -> None:
    """The table on stdout."""
    table(COLUMNS, map(_cells, found), title, right=COLUMNS[1:])


def show_cells(rows: Sequence[dict[str, Any]], title: str) -> None:
    """Which problems, or pairs of responses where a problem has several, were right; nothing where there are none."""
    shares = {row["cell"]: row for row in rows if row["name"] == "outcome_share"}
    counts = {row["cell"]: row for row in rows if row["name"] == "outcome_count"}
    drawn = []
    for cell, words in CELLS.items():
        if cell in counts and cell in shares:
            count, share = counts[cell], shares[cell]
            ends = (number(count[end], 1) for end in ("lo", "hi"))
            null = number(count["null"], 1)
            drawn.append(
                (words, f"{count['value']:.0f}", f"[{', '.join(ends)}]", number(share["value"]), count["n"], null)
            )
    if drawn:
        some = next(iter(counts.values()))
        several = some["n"] != some["n_problems"]
        counted = f"pairs of responses to {some['n_problems']} problems" if several else "problems"
        title = f"{title}: {counted}"
        table(("right", "count", "95 % interval", "share", "of", "null"), drawn, title, right=CELL_NUMBERS)


def _is_change(row: dict[str, Any]) -> bool:
    """Whether a row is a change, or of the pair as a whole with a null to hold it against."""
    whole = row["side"] == "" and row["null"] is not None and row["name"] not in UNTESTED
    again = any(known.items() <= row.items() for known in ACCURACY_AGAIN)
    return (row["side"] == "change" or whole) and not again


def _cells(row: dict[str, Any]) -> list[str]:
    from probe.measurements import label

    before, after = number(row["before"]), number(row["after"])
    return [
        f"{row['name']} {label(row)}".strip(),
        before,
        after,
        number(row["value"], sign=row["before"] is not None),
        interval(row["lo"], row["hi"]),
        str(row["n"]),
        str(row["n_problems"]),
        number(row["null"]),
        p_value(row["p"]),
        p_value(row["p_holm"]),
    ]
