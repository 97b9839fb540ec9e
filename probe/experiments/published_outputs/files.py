"""Responses in a file of one's own: the columns problem, text and answer, in any format of `probe.tasks.rows`.

Optional columns: sample (else counted within a problem), temperature (else 0), confidence (in [0, 1]), stop ("length"
where a response was cut off), right (the authors' label). A response may lack its label or confidence: it stays
missing. Everything is checked here: what follows relies on it. `probe sample --out` writes such files, `probe
import-rollouts` makes them of other columns.
"""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from probe.errors import BadInput
from probe.tasks.rows import read_rows

NEEDED = ("problem", "text", "answer")
OPTIONAL: dict[str, tuple[type, ...]] = {
    "sample": (int,),
    "temperature": (float, int),
    "confidence": (float, int, type(None)),
    "right": (bool, type(None)),
    "stop": (str, type(None)),
}
NULLABLE = ("confidence", "right", "stop")
KNOWN = (*NEEDED, *OPTIONAL)
KINDS: dict[str, tuple[type, ...]] = {"problem": (str, int), "text": (str,), "answer": (str, type(None)), **OPTIONAL}
Columns = dict[str, list[Any]]


def read_answers(path: Path) -> Columns:
    """The columns of one file, of one length; `right` only where the file has it. BadInput names file and column."""
    rows = list(read_rows(path, KNOWN))
    names = [name for name in KNOWN if any(name in row for _, row in rows)]
    missing = [name for name in NEEDED if name not in names and (name != "answer" or "right" not in names)]
    if missing:
        do = f"it has {names or 'no rows'}; {NEEDED} are needed: probe import-rollouts maps other columns"
        raise BadInput(f"no column {missing[0]!r}", where=str(path), do=do)
    for where, row in rows:
        lacks = [name for name in names if name not in row and name not in NULLABLE]
        if lacks:
            raise BadInput(f"this row has no {lacks[0]!r}, others have", where=where, do="mend or drop that row")
    columns = check_columns({name: [row.get(name) for _, row in rows] for name in names}, str(path))
    columns.setdefault("answer", [None] * len(rows))
    blank = columns["answer"].count(None)
    if 0 < blank < len(rows) or (blank and "right" not in columns):
        where = rows[columns["answer"].index(None)][0]
        raise BadInput("column 'answer' is missing in this row", where=where, do="mend or drop that row")
    columns.setdefault("confidence", [None] * len(rows))
    columns.setdefault("temperature", [0.0] * len(rows))
    columns.setdefault("stop", [None] * len(rows))
    columns.setdefault("sample", counted(columns["problem"]))
    return columns


def system_name(path: Path) -> str:
    """What made the responses of a file: as `probe import-rollouts --name` said, else the name of the file."""
    return about(path).get("probe.name") or path.stem


def about(path: Path) -> dict[str, str]:
    """What `probe import-rollouts` wrote about a file: the paths it was read from, and its name."""
    try:
        said = pq.read_schema(path).metadata if path.suffix == ".parquet" else None
    except (pa.ArrowException, OSError, ValueError):
        said = None
    return {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in (said or {}).items()}


def check_columns(columns: Columns, where: str, first: int = 1) -> Columns:
    """The columns, problems as texts, once every value is of its kind and in its range; row numbers from `first`."""
    for name, values in ((name, columns[name]) for name in KNOWN if name in columns):
        for row, value in enumerate(values, first):
            what = _wrong(name, value)
            if what:
                raise BadInput(f"column {name!r}{what.format(row=row)}", where=where, do="mend or drop that row")
    return columns | {"problem": [str(name) for name in columns["problem"]]}


def counted(problems: list[str]) -> list[int]:
    """Which response to its problem each row is, from 0."""
    seen: Counter[str] = Counter()
    found = []
    for name in problems:
        found.append(seen[name])
        seen[name] += 1
    return found


def _wrong(name: str, value: Any) -> str:
    kinds = KINDS[name]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        return f", row {{row}} is {type(value).__name__}, {kinds[0].__name__} is needed"
    return "" if value is None else _out_of_range(name, value)


def _out_of_range(name: str, value: Any) -> str:
    if name == "confidence" and not 0 <= value <= 1:
        return " leaves [0, 1] in row {row}"
    if name == "temperature" and not (math.isfinite(value) and 0 <= value <= 100):
        return " leaves [0, 100] in row {row}"
    if name == "sample" and not 0 <= value < 2**31:
        return " leaves [0, 2^31) in row {row}"
    return ""
