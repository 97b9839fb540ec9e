"""What does a table in any of the usual files hold? Rows one by one: JSON lines, JSON, csv, tsv, parquet, Arrow.

    read_rows(path, columns)  ->  ("results.jsonl:12", {"question": ..., "code": [...]}), ...

A folder is a dataset as `datasets` saves it (data-*.arrow). Whatever stands in a file is data: nothing is unpickled or
run, and no name in it is used as a path. Files come from outside, so only regular files are opened, sizes have limits,
and each damage is a BadInput that names file and row: a line, field or value over MAX_VALUE, rows over MAX_ROWS, more
bytes of values than `most_bytes`, broken UTF-8, half a surrogate, deep nesting, a number of thousands of digits, a key
or column that occurs twice, a file that is cut off. Parquet and Arrow files are held against the sizes they declare
before any of it is decoded, and against themselves before a value is made (`arrow_rows`), so that a small file cannot
unfold without end. Left out: compressed text files, patterns of several files.
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from probe.errors import BadInput
from probe.store.regular import read_regular, regular
from probe.tasks.arrow_rows import arrow_rows, dataset_rows, parquet_rows
from probe.tasks.batch_rows import check_names
from probe.tasks.inspect_log import inspect_rows, log_about, sample_row
from probe.tasks.row_limits import (
    MAX_FILE,
    MAX_JSON,
    MAX_LISTS,
    MAX_ROWS,
    MAX_VALUE,
    Row,
    most_bytes,
)
from probe.tasks.strict_json import parsed_json

ARROW = {".parquet": parquet_rows, ".arrow": arrow_rows, ".feather": arrow_rows}
READERS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", *ARROW, ".eval")


def read_rows(path: str | Path, columns: Iterable[str] | None = None, *, streamed: bool = False) -> Iterator[Row]:
    """("file:line", row) of every row; parquet and Arrow give the named columns only. BadInput as soon as it is met.

    `streamed`: the caller keeps no more than a few rows, so that all of them may be more than the memory holds.
    """
    path, wanted = Path(path), None if columns is None else set(columns)
    if _is_folder(path):
        yield from _counted(path, dataset_rows(path, wanted, streamed))
        return
    most = most_bytes(regular(path, MAX_FILE), streamed)
    if path.suffix in ARROW:
        rows = ARROW[path.suffix](path, wanted, most)
    elif path.suffix in (".csv", ".tsv"):
        rows = _csv(path, most)
    elif path.suffix == ".eval":
        rows = inspect_rows(path, most)
    elif path.suffix in READERS:
        rows = _json(path) if path.suffix == ".json" else _lines(path, most)
    else:
        raise BadInput(f"no reader for a file called *{path.suffix}", where=str(path), do=f"give one of {READERS}")
    yield from _counted(path, rows)


def _counted(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    for number, row in enumerate(rows, 1):
        if number > MAX_ROWS:
            raise BadInput(f"more than {MAX_ROWS:,} rows", where=str(path), do="split the file")
        yield row


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # no name of a file at all: `regular` says so
        return False


def _lines(path: Path, most: int) -> Iterator[Row]:
    with path.open("rb") as file:
        number = taken = 0
        while line := file.readline(MAX_VALUE + 1):
            number += 1
            taken += len(line)
            where = f"{path}:{number}"
            if len(line) > MAX_VALUE:
                what = f"line {number} is longer than {MAX_VALUE:,} bytes"
                raise BadInput(what, where=where, do="drop or shorten it")
            if taken > most:
                raise BadInput(f"more than {most:,} bytes of values", where=where, do="split the file")
            if line.strip(b"\xef\xbb\xbf\r\n\t "):
                yield where, _object(parsed_json(line, where, f"line {number}"), where, f"line {number}")


def _json(path: Path) -> Iterator[Row]:
    """A list of objects; an object that holds one such list; or JSON lines after all."""
    data = read_regular(path, MAX_JSON)
    if data.count(b"[") + data.count(b"{") > MAX_LISTS:
        do = "write it as JSON lines (.jsonl)"
        raise BadInput(f"more than {MAX_LISTS:,} lists and objects", where=str(path), do=do)
    try:
        held = parsed_json(data, str(path), "the file")
    except BadInput as err:
        if "Extra data" not in err.what:
            raise
        yield from _lines(path, MAX_JSON)
        return
    held = _listed(held, path)
    for number, row in enumerate(held, 1):
        where = f"{path} row {number}"
        yield where, _object(row, where, f"row {number}")


def _listed(held: Any, path: Path) -> list[Any]:
    """The rows of what a JSON file holds: a list; the one list in an object; an Inspect log; results by task."""
    if isinstance(held, dict):
        lists = [value for value in held.values() if isinstance(value, list)]
        by_task = held.get("eval")
        if isinstance(held.get("samples"), list) and isinstance(by_task, dict):
            return [log_about(held) | sample_row(each, str(path)) for each in held["samples"]]
        if isinstance(by_task, dict) and by_task and all(isinstance(each, list) for each in by_task.values()):
            return [{"task_id": task} | each for task, found in by_task.items() for each in _flat(found)]
        return lists[0] if len(lists) == 1 and all(isinstance(row, dict) for row in lists[0]) else [held]
    if not isinstance(held, list):
        what = f"not JSON lines: {type(held).__name__} is no list of objects"
        raise BadInput(what, where=str(path), do="give a list")
    return [{"messages": row} if _is_chat(row) else row for row in held]


def _flat(found: Any) -> Iterator[dict[str, Any]]:
    """The objects in lists in lists."""
    for each in found if isinstance(found, list) else [found]:
        if isinstance(each, list):
            yield from _flat(each)
        elif isinstance(each, dict):
            yield each


def _is_chat(row: Any) -> bool:
    return isinstance(row, list) and bool(row) and all(isinstance(each, dict) and "role" in each for each in row)


def _object(value: Any, where: str, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"not JSON lines: {what} is no JSON object", where=where, do="give one JSON object a line")
    return value


def _csv(path: Path, most: int) -> Iterator[Row]:
    """Every value is a text. Rows are counted, not lines: a text may hold line breaks."""
    number, before = 0, csv.field_size_limit(MAX_VALUE)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = "\t" if path.suffix == ".tsv" else ","
            table = csv.reader(_bounded(file, path, most), delimiter=delimiter, strict=True)
            header = next(table, [])
            check_names(header, str(path))
            for number, fields in enumerate((each for each in table if each), 1):
                where = f"{path} row {number}"
                if len(fields) != len(header):
                    what = f"row {number} has {'more' if len(fields) > len(header) else 'fewer'} fields than the header"
                    raise BadInput(what, where=where, do="quote texts that hold commas or line breaks")
                yield where, dict(zip(header, fields, strict=True))
    except UnicodeDecodeError as err:
        raise BadInput(f"not UTF-8 text: {err.reason}, after row {number}", where=str(path), do="write UTF-8") from err
    except csv.Error as err:
        raise BadInput(
            f"not csv: {err}, after row {number}", where=str(path), do="quote fields; keep them short"
        ) from err
    finally:
        csv.field_size_limit(before)


def _bounded(file: TextIO, path: Path, most: int) -> Iterator[str]:
    taken = 0
    while line := file.readline(MAX_VALUE + 1):
        taken += len(line)
        if len(line) > MAX_VALUE or (not line.isascii() and len(line.encode()) > MAX_VALUE):
            raise BadInput(f"a line is longer than {MAX_VALUE:,} bytes", where=str(path), do="drop or shorten it")
        if taken > most:
            raise BadInput(f"more than {most:,} bytes of values", where=str(path), do="split the file")
        yield line
