"""The verdict over rival explanations as a page tells it: the sentence, one line an explanation, what is undecided."""

from typing import Any

from probe.experiments.explain.told import lines, pairs_of, sentence_of
from probe.measurements import Rows

STATES = {1.0: "changed", 0.0: "no change"}


def told(rows: Rows) -> list[dict[str, Any]]:
    """One dict a temperature and system, warmest first. Amounts in units of accuracy, 95 % intervals over problems."""
    found = []
    for mine in sorted(pairs_of(rows), key=lambda mine: -float(mine[0]["temperature"])):
        first, explained = mine[0], lines(mine)
        whole = {side: _amount(mine, side) for side in ("change", "null")}
        state = next(row["value"] for row in mine if row["name"] == "explained_state")
        found.append(
            {
                **{key: first[key] for key in ("family", "reward", "temperature", "n", "n_problems")},
                "state": STATES.get(state, "destroyed"),
                "sentence": sentence_of(mine),
                **whole,
                "explanations": explained,
                "undecided": [line["explanation"] for line in explained if line["verdict"] == "undecided"],
            }
        )
    return found


def _amount(rows: Rows, side: str) -> dict[str, Any] | None:
    """The change of accuracy, or that of the base against itself (null)."""
    for row in rows:
        if row["name"] == "explained_change" and row["side"] == side:
            return {key: row[key] for key in ("value", "lo", "hi")}
    return None
