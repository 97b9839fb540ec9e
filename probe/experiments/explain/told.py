"""What do the rows of a verdict say? The sentence, and one line an explanation: for the command, JSON and notebooks."""

from typing import Any

from probe.experiments.explain.words import WORDS
from probe.measurements import Rows

STANDINGS = {1.0: "supported", 0.0: "excluded"}


def pairs_of(rows: Rows) -> list[Rows]:
    """The rows of each pair and temperature."""
    keys = dict.fromkeys((row["reward"], row["temperature"]) for row in rows)
    return [[row for row in rows if (row["reward"], row["temperature"]) == key] for key in keys]


def sentence_of(rows: Rows) -> str:
    """The verdict on one of them."""
    return next(str(row["reason"]) for row in rows if row["name"] == "explained_state")


def lines(rows: Rows) -> list[dict[str, Any]]:
    """One dict an explanation of one pair: amounts in units of accuracy, verdict, and what would decide it."""
    at = {(row["name"].removeprefix("explained_"), row["part"]): row for row in rows if row["side"] != "null"}
    found = []
    for name, words in WORDS.items():
        verdict, whole = at["verdict", name], at.get(("total", name), {})
        amounts = {word: at.get((word, name), {}).get("value") for word in ("alone", "common", "total", "share")}
        limits = {end: whole.get(end) for end in ("lo", "hi")}
        standing = STANDINGS.get(verdict["value"], "undecided")
        why = verdict["reason"] if verdict["reason"] != standing else ""
        told = {"verdict": standing, "what would decide it": why, "p_holm": verdict["p"]}
        found.append({"explanation": words, **amounts, **limits, **told})
    return found
