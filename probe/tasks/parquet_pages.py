"""What do the pages of a parquet file say that they unfold to? Their headers, walked without decoding one.

The footer of a file says how much each column holds, and may lie: every page has a header of its own, and the reader
allocates what that says. A header is a thrift struct in the compact protocol:

    1 type   2 bytes, unpacked   3 bytes, packed   5, 7, 8 the header of its kind: 1 values        parquet.thrift

Left out: everything that Arrow's own reader checks, and encrypted files.
"""

from dataclasses import dataclass
from typing import BinaryIO, Protocol

TYPE, UNPACKED, PACKED = 1, 2, 3
DATA, DATA_V2 = 5, 8
WINDOWS = (1 << 10, 1 << 16, 16 << 20)  # bytes a header is looked for in: statistics may be long
MAX_PAGES = 1_000_000


class Chunk(Protocol):
    """What pyarrow's ColumnChunkMetaData says of one column in one row group."""

    data_page_offset: int
    dictionary_page_offset: int | None
    total_compressed_size: int
    num_values: int


class Unreadable(ValueError):
    """Bytes that are no header of a page."""


@dataclass(frozen=True)
class Pages:
    """What the pages of a chunk come to: bytes, unpacked; those of the largest; values."""

    bytes: int
    largest: int
    values: int


def pages(file: BinaryIO, chunk: Chunk, size: int) -> Pages:
    """Of one column in one row group of a file of `size` bytes. Unreadable where a header makes no sense."""
    dictionary = chunk.dictionary_page_offset or 0
    place = dictionary if 0 < dictionary < chunk.data_page_offset else chunk.data_page_offset
    end = min(place + chunk.total_compressed_size, size)
    if place < 0 or chunk.total_compressed_size < 0:
        raise Unreadable("a column lies outside the file")
    total = largest = values = 0
    for _ in range(MAX_PAGES):
        if place >= end or values >= chunk.num_values:
            return Pages(total, largest, values)
        header, length = _header(file, place)
        unpacked, packed = _number(header, UNPACKED), _number(header, PACKED)
        total, largest = total + unpacked, max(largest, unpacked)
        about = header.get(DATA) or header.get(DATA_V2)
        values += _number(about, 1) if isinstance(about, dict) else 0
        place += length + packed
    raise Unreadable(f"a column has more than {MAX_PAGES:,} pages")


def _number(header: dict[int, object], name: int) -> int:
    value = header.get(name)
    if not isinstance(value, int) or value < 0:
        raise Unreadable("the header of a page lacks a size")
    return value


def _header(file: BinaryIO, place: int) -> tuple[dict[int, object], int]:
    """The header that starts there, and its length."""
    for window in WINDOWS:
        file.seek(place)
        data = file.read(window)
        try:
            return _struct(data, 0, 0)
        except IndexError:
            if len(data) < window:
                break
    raise Unreadable("the header of a page is cut off")


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, object], int]:
    """Fields by number, and where the struct ends. IndexError where the bytes do."""
    found: dict[int, object] = {}
    name = 0
    while data[at]:
        kind, delta = data[at] & 15, data[at] >> 4
        at += 1
        if delta:
            name += delta
        else:
            name, at = _zigzag(data, at)
        found[name], at = _value(data, at, kind, depth)
    return found, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[object, int]:
    if depth > 8:
        raise Unreadable("the header of a page is nested without end")
    if kind in (1, 2):
        return kind == 1, at
    if kind == 3:
        return data[at], at + 1
    if kind in (4, 5, 6):
        return _zigzag(data, at)
    if kind == 7:
        return None, at + 8
    if kind == 8:
        length, at = _varint(data, at)
        return None, at + length
    if kind in (9, 10):
        return _list(data, at, depth)
    if kind == 12:
        return _struct(data, at, depth + 1)
    raise Unreadable(f"the header of a page has a field of kind {kind}")


def _list(data: bytes, at: int, depth: int) -> tuple[None, int]:
    length, kind = data[at] >> 4, data[at] & 15
    at += 1
    if length == 15:
        length, at = _varint(data, at)
    for _ in range(length):
        if kind in (1, 2):
            at += 1
        else:
            _, at = _value(data, at, kind, depth + 1)
        data[at]  # behind every item stands at least the end of the struct
    return None, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
    raise Unreadable("a number in the header of a page does not end")


def _zigzag(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return value >> 1 ^ -(value & 1), at
