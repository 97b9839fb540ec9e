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
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

from probe.errors import BadInput
from probe.store.regular import read_regular, regular
from probe.tasks.arrow_rows import arrow_rows, dataset_rows, parquet_rows
from probe.tasks.batch_rows import check_names
from probe.tasks.row_limits import (
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_FILE,
    MAX_JSON,
    MAX_LISTS,
    MAX_ROWS,
    MAX_VALUE,
    Row,
    check_text,
    most_bytes,
)

ARROW = {".parquet": parquet_rows, ".arrow": arrow_rows, ".feather": arrow_rows}
READERS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", *ARROW)
JSON_LINES = "give one JSON object a line; the file may be cut off"


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


class _Twice(ValueError):
    """One object has a key twice."""


def parsed_json(data: bytes, where: str, what: str = "the file") -> Any:
    """What JSON says, once it says one thing: see the top. BadInput names what is wrong, and where."""
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once, parse_int=_whole, parse_float=_decimal)
    except UnicodeDecodeError as err:
        raise BadInput(
            f"not UTF-8 text: {err.reason} at byte {err.start}", where=where, do="write it as UTF-8"
        ) from err
    except _Twice as err:
        raise BadInput(f"{what}: {err}", where=where, do="leave one of them") from err
    except (ValueError, RecursionError) as err:
        raise BadInput(f"not JSON lines: {what}: {err}", where=where, do=JSON_LINES) from err
    if b"\\u" in data or data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        check_text(value, where)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise _Twice(f"the key {twice[:80]!r} occurs twice in one object")
    return found


def _whole(digits: str) -> int:
    return int(digits) if len(digits) <= MAX_DIGITS else _too_long(digits)


def _decimal(digits: str) -> float:
    return float(digits) if len(digits) <= MAX_DIGITS else _too_long(digits)


def _too_long(digits: str) -> NoReturn:
    raise ValueError(f"a number of {len(digits):,} digits")


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
