"""What does a table in any of the usual files hold? Rows one by one: JSON lines, JSON, csv, tsv, parquet, Arrow.

    read_rows(path, columns)  ->  ("results.jsonl:12", {"question": ..., "code": [...]}), ...

A folder is a dataset as `datasets` saves it (data-*.arrow). Whatever stands in a file is data: nothing is unpickled or
run, and no name in it is used as a path. Files come from outside, so sizes have limits, and each damage is a BadInput
that names file and row: a line, field or value over MAX_VALUE, rows over MAX_ROWS, more than MAX_BYTES of values,
broken UTF-8, half a surrogate, deep nesting, a file that is cut off. A parquet file is held against the sizes it
declares before any of it is decoded, and its texts stay in their dictionaries until a row is taken, so that a small
file cannot unfold without end. Left out: compressed text files, patterns of several files, Arrow's own compression (a
compressed Arrow file is trusted with the memory it asks for).
"""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from probe.errors import BadInput
from probe.tasks.arrow_rows import arrow_rows, dataset_rows, parquet_rows
from probe.tasks.row_limits import MAX_JSON, MAX_ROWS, MAX_VALUE, Row, check_text

READERS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather")


def read_rows(path: str | Path, columns: Iterable[str] | None = None) -> Iterator[Row]:
    """("file:line", row) of every row; parquet and Arrow give the named columns only. BadInput as soon as it is met."""
    path, wanted = Path(path), None if columns is None else set(columns)
    if not path.exists():
        raise BadInput("no such file or folder", where=str(path), do="give the path of a file of rows")
    if path.is_dir():
        rows = dataset_rows(path, wanted)
    elif path.suffix in (".parquet", ".arrow", ".feather"):
        rows = (parquet_rows if path.suffix == ".parquet" else arrow_rows)(path, wanted)
    elif path.suffix in (".csv", ".tsv"):
        rows = _csv(path)
    elif path.suffix in READERS:
        rows = _json(path) if path.suffix == ".json" else _lines(path)
    else:
        raise BadInput(f"no reader for a file called *{path.suffix}", where=str(path), do=f"give one of {READERS}")
    for number, (where, row) in enumerate(rows, 1):
        if number > MAX_ROWS:
            raise BadInput(f"more than {MAX_ROWS:,} rows", where=str(path), do="split the file")
        check_text(row, where)
        yield where, row


def _lines(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_VALUE + 1):
            number += 1
            where = f"{path}:{number}"
            if len(line) > MAX_VALUE:
                raise BadInput(
                    f"line {number} is longer than {MAX_VALUE:,} bytes", where=where, do="drop or shorten it"
                )
            if line.strip(b"\xef\xbb\xbf\r\n\t "):
                yield where, _object(_parsed(line, where, f"line {number}"), where, f"line {number}")


def _json(path: Path) -> Iterator[Row]:
    """A list of objects; an object that holds one such list; or JSON lines after all."""
    if path.stat().st_size > MAX_JSON:
        raise BadInput(f"larger than {MAX_JSON:,} bytes", where=str(path), do="write it as JSON lines (.jsonl)")
    try:
        held = _parsed(path.read_bytes(), str(path), "the file")
    except BadInput as err:
        if "Extra data" not in err.what:
            raise
        yield from _lines(path)
        return
    if isinstance(held, dict):
        lists = [value for value in held.values() if isinstance(value, list)]
        held = lists[0] if len(lists) == 1 and all(isinstance(row, dict) for row in lists[0]) else [held]
    if not isinstance(held, list):
        raise BadInput(
            f"not JSON lines: {type(held).__name__} is no list of objects", where=str(path), do="give a list"
        )
    for number, row in enumerate(held, 1):
        where = f"{path} row {number}"
        yield where, _object(row, where, f"row {number}")


def _parsed(data: bytes, where: str, what: str) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as err:
        raise BadInput(
            f"not UTF-8 text: {err.reason} at byte {err.start}", where=where, do="write it as UTF-8"
        ) from err
    except (ValueError, RecursionError) as err:
        do = "give one JSON object a line; the file may be cut off"
        raise BadInput(f"not JSON lines: {what}: {err}", where=where, do=do) from err


def _object(value: Any, where: str, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"not JSON lines: {what} is no JSON object", where=where, do="give one JSON object a line")
    return value


def _csv(path: Path) -> Iterator[Row]:
    """Every value is a text. Rows are counted, not lines: a text may hold line breaks."""
    number, before = 0, csv.field_size_limit(MAX_VALUE)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = "\t" if path.suffix == ".tsv" else ","
            table = csv.DictReader(_bounded(file, path), delimiter=delimiter, strict=True)
            for number, row in enumerate(table, 1):
                where = f"{path} row {number}"
                if None in row or None in row.values():
                    what = f"row {number} has {'more' if None in row else 'fewer'} fields than the header"
                    raise BadInput(what, where=where, do="quote texts that hold commas or line breaks")
                yield where, row
    except UnicodeDecodeError as err:
        raise BadInput(f"not UTF-8 text: {err.reason}, after row {number}", where=str(path), do="write UTF-8") from err
    except csv.Error as err:
        raise BadInput(
            f"not csv: {err}, after row {number}", where=str(path), do="quote fields; keep them short"
        ) from err
    finally:
        csv.field_size_limit(before)


def _bounded(file: TextIO, path: Path) -> Iterator[str]:
    while line := file.readline(MAX_VALUE + 1):
        if len(line) > MAX_VALUE:
            raise BadInput(f"a line is longer than {MAX_VALUE:,} characters", where=str(path), do="drop or shorten it")
        yield line
