"""Responses in a file of one's own: JSON lines or parquet with the columns problem, text and answer.

Optional columns: sample (else counted within a problem), temperature (else 0), confidence (in [0, 1]), right (the
authors' label). Everything is checked here: what follows relies on it. `probe sample --out` writes such files.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from probe.errors import BadInput

NEEDED = ("problem", "text", "answer")
OPTIONAL: dict[str, tuple[type, ...]] = {
    "sample": (int,),
    "temperature": (float, int),
    "confidence": (float, int, type(None)),
    "right": (bool,),
}


def read_answers(path: Path) -> dict[str, list[Any]]:
    """The columns of one file, of one length; `right` only where the file has it. BadInput names file and column."""
    columns = _parquet(path) if path.suffix == ".parquet" else _jsonl(path)
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise BadInput(
            f"no column {missing[0]!r}", where=str(path), do=f"it has {sorted(columns)}; {NEEDED} are needed"
        )
    if not columns["text"]:
        raise BadInput("the file has no rows", where=str(path), do="give at least one response")
    columns["problem"] = [str(name) for name in columns["problem"]]
    for name, kinds in {"text": (str,), "answer": (str,), **OPTIONAL}.items():
        wrong = next((i for i, v in enumerate(columns.get(name, ())) if not _is(v, kinds)), None)
        if wrong is not None:
            found = type(columns[name][wrong]).__name__
            what = f"column {name!r}, row {wrong + 1} is {found}, {kinds[0].__name__} is needed"
            raise BadInput(what, where=str(path), do="mend or drop that row")
    n = len(columns["text"])
    stated = columns.setdefault("confidence", [None] * n)
    if not all(value is None or 0 <= value <= 1 for value in stated):
        raise BadInput("column 'confidence' leaves [0, 1]", where=str(path), do="give shares, not per cent")
    columns.setdefault("temperature", [0.0] * n)
    columns.setdefault("sample", _counted(columns["problem"]))
    return columns


def _is(value: object, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _counted(problems: list[str]) -> list[int]:
    """Which response to its problem each row is, from 0."""
    seen: Counter[str] = Counter()
    found = []
    for name in problems:
        found.append(seen[name])
        seen[name] += 1
    return found


def _parquet(path: Path) -> dict[str, list[Any]]:
    known = (*NEEDED, *OPTIONAL)
    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if name in known]
            return file.read(columns=names).to_pydict()
    except (pa.ArrowInvalid, OSError) as err:
        raise BadInput(f"not a whole parquet file: {err}", where=str(path), do="write it again") from err


def _jsonl(path: Path) -> dict[str, list[Any]]:
    """The columns that every row has."""
    rows = []
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip():
                rows.append(json.loads(line))
                if not isinstance(rows[-1], dict):
                    raise ValueError(f"line {number} is no JSON object")
    except (ValueError, RecursionError, OSError) as err:
        raise BadInput(f"not JSON lines: {err}", where=str(path), do="give one JSON object a line, or parquet") from err
    names = [name for name in (*NEEDED, *OPTIONAL) if rows and all(name in row for row in rows)]
    return {name: [row[name] for row in rows] for name in names}
