"""Rows of parquet files, Arrow files and streams, and of datasets as `datasets` saves them: see `probe.tasks.rows`.

What a file declares is held against the limits before it is decoded (`arrow_messages`, `parquet_pages`), what it holds
is checked before it is made into values (`batch_rows`).
"""

import json
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from probe.errors import BadInput
from probe.store.regular import read_regular, regular
from probe.tasks.arrow_messages import check_messages
from probe.tasks.batch_rows import SLICE_BYTES, Reading, check_names, rows_of, weigh
from probe.tasks.parquet_pages import TEXT, Chunk, Leaf, longest_word, pages, read_footer
from probe.tasks.row_limits import MAX_FILE, MAX_ROWS, Row, most_bytes, most_values

BATCH = 1024  # rows decoded at a time, where they are short
MAX_INFO = 16 << 20


def parquet_rows(path: Path, wanted: set[str] | None, most: int) -> Iterator[Row]:
    """The rows of one parquet file."""
    try:
        size, words, may_unfold = _batch_rows(path, wanted, most)
        with pq.ParquetFile(path, read_dictionary=words, buffer_size=1 << 20, pre_buffer=False) as file:
            names = list(file.schema_arrow.names)
            check_names(names, str(path))
            names = [name for name in names if wanted is None or name in wanted]

            def batches(rows: int) -> Iterator[pa.RecordBatch]:
                for i in range(file.num_row_groups):  # one at a time: what they hold is freed behind each
                    yield from file.iter_batches(rows, [i], names, use_threads=False)

            reading = Reading(str(path), None if wanted is None else set(names), most)
            if may_unfold:
                weigh(batches(size), reading)
            yield from rows_of(batches(size), reading)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as err:
        raise BadInput(f"not a whole parquet file: {str(err)[:300]}", where=str(path), do="write it again") from err


def arrow_rows(path: Path, wanted: set[str] | None, most: int, start: int = 0) -> Iterator[Row]:
    """The rows of one Arrow stream or file. A file holds a stream, and counts its batches at its end."""
    messages = check_messages(path)
    try:
        with pa.OSFile(str(path)) as source:
            if messages.start:
                counted = pa.ipc.open_file(source).num_record_batches
                if counted != messages.batches:
                    what = f"not a whole Arrow stream: it counts {counted} batches, and holds {messages.batches}"
                    raise BadInput(what, where=str(path), do="fetch the file again")
            reading = Reading(str(path), wanted, most, start)
            source.seek(messages.start)
            with pa.ipc.open_stream(source) as stream:
                weigh(stream, reading)
            source.seek(messages.start)
            with pa.ipc.open_stream(source) as stream:
                yield from rows_of(stream, reading)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as err:
        what = f"not a whole Arrow stream: {str(err)[:300]}"
        raise BadInput(what, where=str(path), do="fetch the file again") from err


def dataset_rows(folder: Path, wanted: set[str] | None, streamed: bool) -> Iterator[Row]:
    """The rows of the data-*.arrow of a saved dataset, held against what the files beside them say.

    A stream that is cut off between two batches reads without an error, so its end must be marked.
    """
    files = dataset_files(folder)
    rows = 0
    for file in files:
        if not check_messages(file).ended:
            raise BadInput("not a whole Arrow stream: it has no end", where=str(file), do="fetch the file again")
        for row in arrow_rows(file, wanted, most_bytes(file, streamed), rows):
            rows += 1
            yield row
    expected = _counted(folder)
    if expected not in (None, rows):
        raise BadInput(f"{rows} rows, but dataset_info.json counts {expected}", where=str(folder), do="fetch it again")


def dataset_files(folder: Path) -> list[Path]:
    """The files of a saved dataset, in order. BadInput where there are none, or one that it names is missing."""
    files = sorted(folder.glob("data-*.arrow"))
    if not files:
        splits = sorted(each.parent.name for each in folder.glob("*/state.json"))
        do = f"give one of its splits: {splits}" if splits else "give the folder of a saved dataset, or a file"
        raise BadInput("no data-*.arrow in this folder", where=str(folder), do=do)
    listed = _said(folder / "state.json").get("_data_files")
    names = [each.get("filename") for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    named = {name for name in names if isinstance(name, str) and fnmatch(name, "data-*.arrow") and "/" not in name}
    missing = sorted(named - {file.name for file in files})
    if missing:
        raise BadInput(f"{missing[0][:80]!r} is missing", where=str(folder), do="fetch it again")
    return [regular(file, MAX_FILE) for file in files]


def _counted(folder: Path) -> int | None:
    """How many rows the split has, where its description says so: `datasets` often saves none."""
    splits = _said(folder / "dataset_info.json").get("splits")
    split = _said(folder / "state.json").get("_split")
    if not isinstance(splits, dict) or not splits:
        return None
    about = splits.get(split) if isinstance(split, str) else None
    about = next(iter(splits.values())) if about is None and len(splits) == 1 else about
    count = about.get("num_examples") if isinstance(about, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) else None


def _said(info: Path) -> dict[str, Any]:
    """What a description beside the data says; nothing where there is none."""
    if not info.exists() and not info.is_symlink():
        return {}
    try:
        said = json.loads(read_regular(info, MAX_INFO))
    except (ValueError, RecursionError) as err:
        raise BadInput(f"not a description of a dataset: {err}", where=str(info), do="fetch it again") from err
    if not isinstance(said, dict):
        raise BadInput("not a description of a dataset: no object", where=str(info), do="fetch it again")
    return said


def _batch_rows(path: Path, wanted: set[str] | None, most: int) -> tuple[int, list[str], bool]:
    """How many rows are decoded at a time, what is read as a dictionary, and whether that may be more than is taken.

    BadInput: the file declares too much.
    """
    size, total, values, repeated, meant = path.stat().st_size, 0, 0, 0, 0
    with path.open("rb") as file:
        footer = read_footer(file, size)
        _check(path, footer.rows, MAX_ROWS, "rows")
        leaves = [leaf for leaf in footer.leaves if wanted is None or leaf.top in wanted]
        for leaf in leaves:
            largest = count = 0
            for chunk in leaf.chunks:
                found = pages(file, chunk, size)
                total += max(found.bytes, chunk.unpacked)
                count += max(found.values, chunk.values)
                _check(path, total, most, "bytes, decompressed")
                _check(path, values + count, most_values(path), "values")
                largest = max(largest, _longest(file, leaf, chunk, found.largest))
                meant += longest_word(file, chunk) * max(found.values, chunk.values) if leaf.as_words else 0
            _check(path, largest * count if leaf.nested else largest, most, f"bytes in {leaf.path[:80]!r}")
            values, repeated = values + count, max(repeated, largest)
    each = max(repeated, total // max(footer.rows, 1))
    words = [leaf.path for leaf in leaves if leaf.as_words]
    return max(1, min(BATCH, SLICE_BYTES // max(each, 1))), words, total + meant > most


def _longest(file: BinaryIO, leaf: Leaf, chunk: Chunk, page: int) -> int:
    """What one value may unfold to beyond the bytes of the pages, the largest of which is given."""
    if leaf.repeats:
        return page
    return longest_word(file, chunk) if leaf.kind == TEXT and leaf.nested else leaf.width


def _check(path: Path, number: int, most: int, what: str) -> None:
    if number > most:
        what = f"{number:,} {what}, more than the {most:,} that are taken"
        raise BadInput(what, where=str(path), do="write fewer columns or rows")
