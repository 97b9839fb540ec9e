"""What changed, as tables on stdout: the rows of `probe.experiments.changes`.

Cells (both right, only before, ...) have a table of their own: they are counts, and their test is that of accuracy.
"""

from collections.abc import Sequence
from typing import Any

from probe.cli.show import interval, number, p_value, table
from probe.experiments.changes import changes

__all__ = ["changes", "show_cells", "show_changes"]

CELLS = {"both": "both right", "only_before": "only before", "only_after": "only after", "neither": "neither"}
CELL_NUMBERS = ("count", "95 % interval", "share", "of", "null")
COLUMNS = ("measure", "before", "after", "change", "95 % interval", "n", "problems", "null", "p", "p (Holm)")


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
