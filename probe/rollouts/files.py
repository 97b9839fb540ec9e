"""Responses in a file: ROLLOUTS with grades, as `probe sample` writes them and `probe score` reads them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from probe.data import ROLLOUTS, Problem, check_schema
from probe.errors import BadInput

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
    try:
        table = check_schema(pq.read_table(path, partitioning=None), ROLLOUTS, where=str(path))
    except FileNotFoundError as err:
        raise BadInput(
            "no such file", where=str(path), do="write one with probe sample NAME --out FILE.parquet"
        ) from err
    except (pa.ArrowInvalid, OSError) as err:
        raise BadInput(f"not a whole parquet file: {err}", where=str(path), do="write it again") from err
    for column in ("checkpoint", "temperature"):
        if len(table[column].unique()) != 1:
            what = f"{len(table[column].unique())} values of {column!r} where one is needed"
            raise BadInput(what, where=str(path), do="give the responses of one checkpoint at one temperature")
    return table.to_pylist()
