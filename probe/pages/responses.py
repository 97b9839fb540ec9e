"""Prompts and responses before and after, pair by pair, with what a reader may want to filter by.

cell        both, only_before, only_after, neither: who was right
switch      CC, CL, LC, LL: code (C) or prose (L), before and after
problem     place among the problems: id, prompt, answer, and whether it leaked (null: not known)
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from probe.data import Outcome, Strategy
from probe.pages.pack import Texts

SIDE = ("text", "outcome", "strategy", "boxed", "stop", "tokens", "confidence")
CELLS = {(True, True): "both", (True, False): "only_before", (False, True): "only_after", (False, False): "neither"}
KEY = ("problem", "sample")
Problems = Mapping[str, Mapping[str, Any]]


def told(
    tables: Sequence[tuple[pa.Table, pa.Table]], problems: Problems, most: int, names: Sequence[str] = ()
) -> dict[str, Any]:
    """Of each pair of RESPONSES tables the first `most` pairs, first samples first; how many there are in all.

    `names`: of the system after, where there are several.
    """
    places = {name: place for place, name in enumerate(problems)}
    pairs, of = [], 0
    for place, (before, after) in enumerate(tables):
        found = _pairs(before, after, places)
        found = [{"name": names[place]} | pair for pair in found] if names else found
        of += len(found)
        pairs += found[:most]
    return {
        "of": of,
        "problems": Texts([{"id": name, **about} for name, about in problems.items()]),
        "pairs": Texts(pairs),
    }


def problem(prompt: str | None = None, answer: str | None = None, leaked: bool | None = None) -> dict[str, Any]:
    """What is told of a problem."""
    return {"prompt": prompt, "answer": answer, "leaked": leaked}


def _pairs(before: pa.Table, after: pa.Table, places: Mapping[str, int]) -> list[dict[str, Any]]:
    first, second = (
        {tuple(row[key] for key in KEY): row for row in table.select([*KEY, "temperature", *SIDE]).to_pylist()}
        for table in (before, after)
    )
    shared = sorted(first.keys() & second.keys(), key=lambda key: (key[1], places[key[0]]))
    return [_pair(first[key], second[key], places) for key in shared]


def _pair(before: dict[str, Any], after: dict[str, Any], places: Mapping[str, int]) -> dict[str, Any]:
    sides = (before, after)
    right = tuple(side["outcome"] == Outcome.right for side in sides)
    switch = "".join("C" if side["strategy"] == Strategy.code else "L" for side in sides)
    return {
        "problem": places[before["problem"]],
        "sample": before["sample"],
        "temperature": round(before["temperature"], 6),
        "cell": CELLS[right],
        "switch": switch,
        "before": {name: before[name] for name in SIDE},
        "after": {name: after[name] for name in SIDE},
    }
