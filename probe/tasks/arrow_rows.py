"""Rows of parquet files, Arrow files and streams, and of datasets as `datasets` saves them: see `probe.tasks.rows`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from probe.errors import BadInput
from probe.tasks.row_limits import MAX_BYTES, MAX_ROWS, MAX_VALUE, Row, size

SLICE = 16  # rows made into Python values at a time
BATCH = 256


def parquet_rows(path: Path, wanted: set[str] | None) -> Iterator[Row]:
    """The rows of one parquet file, checked against what it declares before it is decoded."""
    try:
        with pq.ParquetFile(path) as file:
            declared = file.metadata
            _check_declared(path, declared)
            texts = [
                leaf.path
                for leaf in (declared.schema.column(i) for i in range(declared.num_columns))
                if leaf.physical_type == "BYTE_ARRAY"
            ]
            names = [name for name in file.schema_arrow.names if wanted is None or name in wanted]
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            yield from _rows(path, file.iter_batches(BATCH, columns=names), wanted)
    except (pa.ArrowException, OSError) as err:
        raise BadInput(f"not a whole parquet file: {err}", where=str(path), do="write it again") from err


def arrow_rows(path: Path, wanted: set[str] | None, start: int = 0) -> Iterator[Row]:
    """The rows of one Arrow stream or file."""
    try:
        with path.open("rb") as file:
            is_file = file.read(6) == b"ARROW1"
        with pa.OSFile(str(path)) as source:
            if is_file:
                with pa.ipc.open_file(source) as whole:
                    yield from _rows(path, (whole.get_batch(i) for i in range(whole.num_record_batches)), wanted, start)
            else:
                with pa.ipc.open_stream(source) as stream:
                    yield from _rows(path, stream, wanted, start)
    except (pa.ArrowException, OSError) as err:
        raise BadInput(f"not a whole Arrow stream: {err}", where=str(path), do="fetch the file again") from err


def dataset_rows(folder: Path, wanted: set[str] | None) -> Iterator[Row]:
    """The rows of the data-*.arrow of a saved dataset, held against the row count beside them.

    A stream that is cut off between two batches reads without an error.
    """
    files = sorted(folder.glob("data-*.arrow"))
    if not files:
        splits = sorted(each.parent.name for each in folder.glob("*/state.json"))
        do = f"give one of its splits: {splits}" if splits else "give the folder of a saved dataset, or a file"
        raise BadInput("no data-*.arrow in this folder", where=str(folder), do=do)
    rows = 0
    for file in files:
        for row in arrow_rows(file, wanted, rows):
            rows += 1
            yield row
    info = folder / "dataset_info.json"
    expected = _counted(info) if info.is_file() else rows
    if expected != rows:
        raise BadInput(f"{rows} rows, but {info.name} counts {expected}", where=str(folder), do="fetch it again")


def _counted(info: Path) -> int | None:
    try:
        splits = (json.loads(info.read_bytes()).get("splits") or {}).values()
        counts = [split["num_examples"] for split in splits]
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError) as err:
        raise BadInput(f"not a description of a dataset: {err}", where=str(info), do="fetch it again") from err
    return counts[0] if len(counts) == 1 else None


def _check_declared(path: Path, declared: pq.FileMetaData) -> None:
    groups = [declared.row_group(i) for i in range(declared.num_row_groups)]
    columns = [group.column(i) for group in groups for i in range(group.num_columns)]
    for number, most, what in (
        (declared.num_rows, MAX_ROWS, "rows"),
        (sum(column.total_uncompressed_size for column in columns), MAX_BYTES, "bytes, decompressed"),
        (sum(column.num_values for column in columns), MAX_BYTES // 8, "values"),
    ):
        if number > most:
            what = f"{number:,} {what}, more than the {most:,} that are taken"
            raise BadInput(what, where=str(path), do="write fewer columns or rows")


def _rows(path: Path, batches: Iterator[pa.RecordBatch], wanted: set[str] | None, start: int = 0) -> Iterator[Row]:
    number, taken = start, 0
    for batch in batches:
        if wanted is not None:
            batch = batch.select([name for name in batch.schema.names if name in wanted])
        if max((_longest(column) for column in batch.columns), default=0) > MAX_VALUE:
            what = f"a text after row {number} is longer than {MAX_VALUE:,} bytes"
            raise BadInput(what, where=str(path), do="drop or shorten it")
        for first in range(0, batch.num_rows, SLICE):
            for row in _plain(batch.slice(first, SLICE), f"{path} row {number + 1}"):
                number += 1
                taken += size(row)
                yield f"{path} row {number}", row
            if taken > MAX_BYTES:
                raise BadInput(f"more than {MAX_BYTES:,} bytes of values", where=str(path), do="split the file")


def _plain(batch: pa.RecordBatch, where: str) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except UnicodeDecodeError as err:
        raise BadInput(f"not UTF-8 text: {err.reason}", where=where, do="write it as UTF-8") from err
    except (ValueError, OverflowError) as err:
        raise BadInput(f"a value cannot be read: {err}", where=where, do="write it as text or a number") from err
    return rows


def _longest(column: pa.Array) -> int:
    """Bytes of the longest text anywhere in a column."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _longest(column.dictionary)
    if pa.types.is_struct(kind):
        return max((_longest(column.field(i)) for i in range(kind.num_fields)), default=0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _longest(column.values)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        return pc.max(pc.binary_length(column)).as_py() or 0
    return 0
