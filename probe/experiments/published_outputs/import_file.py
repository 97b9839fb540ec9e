"""How do published outputs become responses that can be compared? Any table of them -> the file `real_files` reads.

    problem text answer [sample temperature confidence right stop prompt]  <-  a path into each row, given or recognised

A path is a column, or names joined by dots into nested objects (`6b_verification.solution`, `choices.0.text`). A list
of responses becomes one row a sample; lists of the same length go with it, single values are repeated, lists of one
are opened. A chat prompt is its last message of the user. A gold solution gives the answer it ends in ("#### 18").

Names are recognised by the first row, in the order of `NAMES`. What is recognised is reported, as it may be wrong:
`field=` (no path) leaves a field out. Everything is only ever text and numbers: nothing in a file is run, no value is a
path, and what cannot be read is a BadInput that names the row. Left out: messages of several turns, images, tools.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from probe.errors import BadInput
from probe.experiments.published_outputs.files import Columns, check_columns, counted
from probe.store import file_digest, write_table
from probe.strategy import detect, mentions_python
from probe.tasks.extractors import Extract
from probe.tasks.grading import Grader
from probe.tasks.import_fields import FIELDS, PARSERS, dig, find_paths, opened
from probe.tasks.rows import read_rows

PART = 1024  # rows converted at a time
SCHEMA = {
    "problem": pa.string(),
    "sample": pa.int32(),
    "temperature": pa.float64(),
    "prompt": pa.string(),
    "text": pa.string(),
    "answer": pa.string(),
    "right": pa.bool_(),
    "stop": pa.string(),
    "confidence": pa.float64(),
}
GRADES = {"boxed": pa.string(), "outcome": pa.string(), "strategy": pa.string(), "python": pa.bool_()}


@dataclass(frozen=True)
class Imported:
    """What was read: the path of each field, those of them that were recognised, how much, and how much is right."""

    paths: dict[str, str]
    recognised: tuple[str, ...]
    rows: int
    problems: int
    right: float | None
    graded_right: float | None


def import_rollouts(
    path: Path,
    out: Path,
    given: Mapping[str, str] | None = None,
    *,
    name: str | None = None,
    grade: Extract | None = None,
    overwrite: bool = False,
) -> Imported:
    """Write the responses of a file (or of a saved dataset's folder) to `out`, a parquet file, whole or not at all.

    `given` maps our fields to paths, `name` names the system [the file of `out`], `grade` adds our grades.
    """
    _check_out(path, out, overwrite)
    given = dict(given or {})
    unknown = sorted(set(given) - set(FIELDS))
    if unknown:
        raise BadInput(f"there is no column {unknown[0]!r} to map to", where="--map", do=f"give one of {list(FIELDS)}")
    rows = read_rows(path)
    first = next(rows, None)
    if first is None:
        raise BadInput("the file has no rows", where=str(path), do="give at least one response")
    paths = find_paths(first[1], given, str(path))
    parts = list(_parts(path, _chain(first, rows), paths, grade))
    table = pa.concat_tables(parts)
    names = pa.array([name or out.stem] * table.num_rows, pa.string())
    about = {"probe.source": _source(path), **{f"probe.map.{field}": each for field, each in paths.items()}}
    write_table(out, table.add_column(0, "checkpoint", names).replace_schema_metadata(about))
    return _report(table, paths, tuple(field for field in paths if field not in given))


def _check_out(path: Path, out: Path, overwrite: bool) -> None:
    if out.suffix != ".parquet":
        raise BadInput("the result is a parquet file", where=str(out), do="give a name that ends in .parquet")
    if out.exists() and (out.is_dir() or out.samefile(path) or not overwrite):
        raise BadInput("this is in the way of the result", where=str(out), do="name a new file, or say --overwrite")


def _chain(first: tuple[str, dict[str, Any]], rest: Iterator[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, Any]]:
    yield first
    yield from rest


def _parts(
    path: Path, rows: Iterator[tuple[str, dict[str, Any]]], paths: dict[str, str], grade: Extract | None
) -> Iterator[pa.Table]:
    """Tables of PART responses each, samples numbered through."""
    seen: Counter[str] = Counter()
    pairs: set[tuple[str, int]] = set()
    responses = (each for where, row in rows for each in _responses(row, paths, where))
    done = 0
    with Grader(extract=grade or "boxed") as grader:
        while part := list(islice(responses, PART)):
            columns = check_columns(_columns(part, paths), str(path), done + 1)
            columns.setdefault("sample", counted(columns["problem"], seen))
            _check_pairs(columns, pairs, str(path))
            done += len(part)
            yield _table(columns, len(part), grader if grade else None)


def _responses(row: dict[str, Any], paths: dict[str, str], where: str) -> Iterator[dict[str, Any]]:
    """The responses of one row, each with its values parsed."""
    values = {field: opened(field, dig(row, each, where), where) for field, each in paths.items()}
    texts = values["text"] if isinstance(values["text"], list) else [values["text"]]
    for place in range(len(texts)):
        one = {}
        for field, value in values.items():
            if isinstance(value, list):
                if len(value) not in (1, len(texts)):
                    what = f"{field} has {len(value)} values for {len(texts)} responses"
                    raise BadInput(what, where=where, do="map it to one value, or to one for each response")
                value = value[place if len(value) == len(texts) else 0]
            one[field] = PARSERS[field](value, f"{field} ({paths[field]})", where)
        yield one


def _columns(part: list[dict[str, Any]], paths: dict[str, str]) -> Columns:
    return {field: [one[field] for one in part] for field in paths}


def _check_pairs(columns: Columns, pairs: set[tuple[str, int]], where: str) -> None:
    for pair in zip(columns["problem"], columns["sample"], strict=True):
        if pair in pairs:
            what = f"sample {pair[1]} of problem {pair[0][:80]!r} occurs twice"
            raise BadInput(what, where=where, do="leave samples to be counted: --map sample=")
        pairs.add(pair)


def _table(columns: Columns, n: int, grader: Grader | None) -> pa.Table:
    blank: Columns = {"temperature": [0.0] * n, "confidence": [None] * n}
    columns = blank | columns
    kinds = {field: kind for field, kind in SCHEMA.items() if field in columns}
    if grader is not None:
        grades = grader.grade_many(columns["text"], columns["answer"])
        columns |= {
            "boxed": [grade.prediction for grade in grades],
            "outcome": [str(grade.outcome) for grade in grades],
            "strategy": [str(detect(text).label) for text in columns["text"]],
            "python": [mentions_python(text) for text in columns["text"]],
        }
        kinds |= GRADES
    return pa.table({field: pa.array(columns[field], kind) for field, kind in kinds.items()})


def _source(path: Path) -> str:
    files = [path] if path.is_file() else sorted(path.glob("data-*.arrow"))
    return " ".join(f"{file.name}:{file_digest(file)}" for file in files)


def _report(table: pa.Table, paths: dict[str, str], recognised: tuple[str, ...]) -> Imported:
    n = table.num_rows
    right = table["right"].to_pylist().count(True) / n if "right" in table.column_names else None
    graded = table["outcome"].to_pylist().count("right") / n if "outcome" in table.column_names else None
    return Imported(paths, recognised, n, len(table["problem"].unique()), right, graded)
