"""Responses in a file: ROLLOUTS with grades, as `probe sample` writes them and `probe score` reads them."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from probe.data import ROLLOUTS, Problem
from probe.errors import BadInput
from probe.store.regular import regular
from probe.tasks.arrow_rows import parquet_rows
from probe.tasks.row_limits import MAX_FILE, most_bytes

NEEDED = ("checkpoint", "problem", "sample", "temperature", "prompt_ids", "completion_ids")  # for every token's score
WRITE = "write one with probe sample NAME --out FILE.parquet"
GRADES = ("step", "tokens", "boxed", "outcome", "strategy", "python", "confidence")


def with_grades(rollouts: pa.Table, responses: pa.Table, problems: Iterable[Problem]) -> pa.Table:
    """ROLLOUTS beside the graded columns of RESPONSES and the gold answer: `probe compare-rollouts` reads it too."""
    gold = {problem.id: problem.answer for problem in problems}
    answers = pa.array([gold[name] for name in rollouts["problem"].to_pylist()])
    for name in GRADES:
        rollouts = rollouts.append_column(name, responses[name])
    return rollouts.append_column("answer", answers)


def read_rollouts(path: Path) -> list[dict[str, Any]]:
    """The rows of such a file, of one checkpoint and one temperature. BadInput for anything else."""
    if not path.exists():
        raise BadInput("no such file", where=str(path), do=WRITE)
    rows = [row for _, row in parquet_rows(regular(path, MAX_FILE), set(ROLLOUTS.names), most_bytes(path))]
    if not rows:
        raise BadInput("the file has no rows", where=str(path), do=WRITE)
    table = _typed(rows, str(path))
    for column in ("checkpoint", "temperature"):
        if len(table[column].unique()) != 1:
            what = f"{len(table[column].unique())} values of {column!r} where one is needed"
            raise BadInput(what, where=str(path), do="give the responses of one checkpoint at one temperature")
    temperature = table["temperature"][0].as_py()
    if not (math.isfinite(temperature) and 0 <= temperature <= 100):
        raise BadInput("column 'temperature' leaves [0, 100]", where=str(path), do="write the file again")
    return table.to_pylist()


def _typed(rows: list[dict[str, Any]], where: str) -> pa.Table:
    """ROLLOUTS, of which nothing that scoring needs is missing."""
    missing = [name for name in ROLLOUTS.names if name not in rows[0]]
    if missing:
        raise BadInput(f"table lacks the columns {missing}", where=where, do=f"give all of {ROLLOUTS.names}")
    try:
        table = pa.Table.from_pylist(rows, schema=ROLLOUTS)
    except (pa.ArrowException, ValueError, OverflowError, TypeError) as err:
        raise BadInput(f"a column has the wrong type: {err}", where=where, do=f"cast to {ROLLOUTS}") from err
    for name in NEEDED:
        values = pc.list_flatten(table[name]) if pa.types.is_list(table[name].type) else table[name]
        if table[name].null_count or values.null_count:
            row = pc.index(pc.is_null(table[name]), True).as_py() + 1
            at = f"row {row} " if row else "a list "
            raise BadInput(f"column {name!r}, {at}has a missing value", where=where, do="mend or drop that row")
    return table
