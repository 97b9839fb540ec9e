"""How does a batch of an Arrow file become rows, when nothing in it can be trusted?

    validate(full=True)  ->  what would the next rows unfold to?  ->  as many of them as fit  ->  Python values

Offsets, lengths and indices of a file are only numbers: unchecked they lead anywhere in memory. And a text that stands
once may be meant a million times (dictionaries), as may a list of blanks that take no room: so bytes are counted before
values are made, over the rows of a slice. Kinds that repeat without end (views of lists, runs) or hold no text or
number (unions, extensions of other libraries) are left out where no columns are named, and refused where they are.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from probe.errors import BadInput
from probe.tasks.row_limits import MAX_DEPTH, MAX_ROW, MAX_VALUE, Row

SLICE = 256  # rows made into Python values at a time
SLICE_BYTES = 32 << 20
COST = 64  # bytes of a Python value beside its text

TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
VIEWS = (pa.types.is_string_view, pa.types.is_binary_view)
PLAIN = (
    *(pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
    *(pa.types.is_date, pa.types.is_time, pa.types.is_timestamp, pa.types.is_duration),
)


@dataclass
class Reading:
    """Where rows come from, which columns are wanted (None: all), how many bytes are taken, and what was so far."""

    where: str
    wanted: set[str] | None
    most: int
    rows: int = 0
    taken: int = 0


def rows_of(batches: Iterable[pa.RecordBatch], reading: Reading) -> Iterator[Row]:
    """The rows of the batches; BadInput at the first that is damaged or unfolds to more than is taken."""
    for batch in batches:
        batch = _validated(batch, reading)
        for first in range(0, batch.num_rows, SLICE):
            for row in _slices(batch.slice(first, SLICE), reading):
                reading.rows += 1
                yield f"{reading.where} row {reading.rows}", row


def weigh(batches: Iterable[pa.RecordBatch], reading: Reading) -> None:
    """BadInput where all batches together unfold to more than is taken: said before the first row is worked on."""
    so_far = replace(reading)
    for batch in batches:
        batch = _validated(batch, so_far)
        so_far.rows += batch.num_rows
        so_far.taken += sum(_unfolded(column) for column in batch.columns) + COST * batch.num_rows
        if so_far.taken > reading.most:
            raise _too_much(reading.most, reading.where)


def check_names(names: list[str], where: str) -> None:
    """BadInput where two columns have one name."""
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise BadInput(f"two columns are called {twice[0]!r}", where=where, do="rename one of them")


def readable(batch: pa.RecordBatch, wanted: set[str] | None, where: str) -> pa.RecordBatch:
    """The wanted columns, extensions as what they are stored as. BadInput where one is of no kind that can be read."""
    check_names(batch.schema.names, where)
    columns = {}
    for field in batch.schema:
        if wanted is not None and field.name not in wanted:
            continue
        column = batch.column(field.name)
        while isinstance(column.type, pa.BaseExtensionType):
            column = column.storage
        if is_readable(column.type):
            columns[field.name] = column
        elif wanted is not None:
            what = f"column {field.name!r} is of a kind that is not read: {str(field.type)[:80]}"
            raise BadInput(what, where=where, do="write it as text or numbers")
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns)) if columns else batch.select([])


def is_readable(kind: pa.DataType, depth: int = 0) -> bool:
    """Whether values of this kind become texts, numbers, lists and objects."""
    if depth > MAX_DEPTH:
        return False
    if pa.types.is_struct(kind):
        return all(is_readable(kind.field(i).type, depth + 1) for i in range(kind.num_fields))
    if pa.types.is_dictionary(kind) or any(is_it(kind) for is_it in LISTS):
        return is_readable(kind.value_type, depth + 1)
    if any(is_it(kind) for is_it in VIEWS):
        return depth == 0
    return any(is_it(kind) for is_it in (*TEXTS, *PLAIN)) or (
        pa.types.is_fixed_size_binary(kind) and kind.byte_width <= MAX_VALUE // SLICE
    )


def _validated(batch: pa.RecordBatch, reading: Reading) -> pa.RecordBatch:
    """The readable columns, once all of their offsets, indices and texts are what they should be."""
    try:
        batch = readable(batch, reading.wanted, reading.where)
        batch.validate(full=True)
    except (pa.ArrowException, ValueError) as err:
        text = "UTF8" in str(err) or "UTF-8" in str(err)
        what = "not UTF-8 text" if text else "a batch is damaged: its offsets or indices lead nowhere"
        where = f"{reading.where} row {reading.rows + 1}"
        raise BadInput(f"{what} ({str(err)[:200]})", where=where, do="write the file again") from err
    return batch


def _slices(batch: pa.RecordBatch, reading: Reading) -> Iterator[dict[str, Any]]:
    """The rows of a slice, in as many steps as its size asks for."""
    cost = sum(_unfolded(column) for column in batch.columns) + COST * batch.num_rows
    if cost > SLICE_BYTES and batch.num_rows > 1:
        half = batch.num_rows // 2
        yield from _slices(batch.slice(0, half), reading)
        yield from _slices(batch.slice(half), reading)
        return
    where = f"{reading.where} row {reading.rows + 1}"
    longest = max((_longest(column) for column in batch.columns), default=0)
    if longest > MAX_VALUE:
        raise BadInput(f"a text is longer than {MAX_VALUE:,} bytes", where=where, do="drop or shorten it")
    if cost > MAX_ROW:
        raise BadInput(f"a row holds more than {MAX_ROW:,} bytes of values", where=where, do="drop or shorten it")
    reading.taken += cost
    if reading.taken > reading.most:
        raise _too_much(reading.most, where)
    yield from _plain(batch, where)


def _too_much(most: int, where: str) -> BadInput:
    return BadInput(f"more than {most:,} bytes of values", where=where, do="split the file, or write fewer columns")


def _plain(batch: pa.RecordBatch, where: str) -> list[dict[str, Any]]:
    try:
        columns = [_decoded(column).to_pylist() for column in batch.columns]
    except (ValueError, OverflowError, KeyError, TypeError, pa.ArrowException) as err:
        raise BadInput(f"a value cannot be read: {err}", where=where, do="write it as text or a number") from err
    names = batch.schema.names
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)] or [{}] * batch.num_rows


def _decoded(column: pa.Array) -> pa.Array:
    """A dictionary as its values: quicker to make into Python, and its size was counted."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _unfolded(column: pa.Array) -> int:
    """About how many bytes the values of a column take in Python; every text as often as it is meant."""
    kind = column.type
    cost = COST * len(column)
    if pa.types.is_dictionary(kind):
        return cost + _meant(column)
    if pa.types.is_struct(kind):
        return cost + sum(_unfolded(column.field(i)) for i in range(kind.num_fields))
    if any(is_it(kind) for is_it in LISTS):
        return cost + _unfolded(column.flatten())
    if any(is_it(kind) for is_it in (*TEXTS, *VIEWS)):
        return cost + int(pc.sum(_lengths(column)).as_py() or 0)
    if pa.types.is_fixed_size_binary(kind):
        return cost + kind.byte_width * len(column)
    return cost


def _meant(column: pa.DictionaryArray) -> int:
    words = column.dictionary
    if any(is_it(words.type) for is_it in TEXTS):
        lengths = pc.cast(pc.fill_null(_lengths(words), 0), pa.int64())
        return int(pc.sum(lengths.take(column.indices)).as_py() or 0)
    return (len(column) - column.null_count) * _unfolded(words)


def _longest(column: pa.Array) -> int:
    """Bytes of the longest text anywhere in a column."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _longest(column.dictionary)
    if pa.types.is_struct(kind):
        return max((_longest(column.field(i)) for i in range(kind.num_fields)), default=0)
    if any(is_it(kind) for is_it in LISTS):
        return _longest(column.flatten())
    if any(is_it(kind) for is_it in (*TEXTS, *VIEWS)):
        return int(pc.max(_lengths(column)).as_py() or 0)
    return 0


def _lengths(column: pa.Array) -> pa.Array:
    """Bytes of each text. Views are read as the 16 bytes of each, the first four of which are its length."""
    if any(is_it(column.type) for is_it in VIEWS):
        views = column.buffers()[1]
        ints = pa.Array.from_buffers(pa.int32(), 4 * (len(column) + column.offset), [None, views])
        return ints.take(pa.array(range(4 * column.offset, 4 * (column.offset + len(column)), 4)))
    return pc.binary_length(column)
