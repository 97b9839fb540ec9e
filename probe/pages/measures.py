"""The table of measures as a page tells it: each change with what it measures and what its null is, in a sentence.

The sentences are those of `probe/measures`: a file's first line is its question, its class says names and nulls.
"""

import functools
import inspect
import re
from typing import Any

from probe.experiments.changes import changes
from probe.measurements import Rows, label
from probe.measures import measures

NAMED = re.compile(r"`([a-z_]+)`")
TOLD = (
    "reward",
    "temperature",
    "before",
    "after",
    "value",
    "lo",
    "hi",
    "unit",
    "n",
    "n_problems",
    "null",
    "p",
    "p_holm",
)


def told(rows: Rows) -> dict[str, Any]:
    """`rows`: one dict a change; `about`: question and null by name, of the names that occur."""
    found = [{"name": row["name"], "varying": label(row), **{key: row[key] for key in TOLD}} for row in changes(rows)]
    known = about()
    return {"rows": found, "about": {name: known[name] for name in sorted({row["name"] for row in found} & set(known))}}


@functools.cache
def about() -> dict[str, dict[str, str]]:
    """By the name of an estimate: the question of its measure, and what its class says of sides, cells and nulls."""
    found = {}
    for _, measure in measures.items():
        module = inspect.getmodule(measure)
        question = (inspect.getdoc(module) or "").partition("\n\n")[0]
        null = " ".join((inspect.getdoc(measure) or "").split())
        for name in NAMED.findall(null):
            found[name] = {"question": " ".join(question.split()), "null": null.replace("`", "")}
    return found
