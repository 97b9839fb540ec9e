"""What does a parquet file say that it holds, and what do its pages say? Read without decoding one.

    footer   FileMetaData: 2 schema, 3 rows, 4 row groups, each with one chunk for every leaf of the schema
    page     1 type   2 bytes, unpacked   3 bytes, packed   5, 8 the header of a data page: 1 values

The footer may lie: every page has a header of its own, and the reader allocates what that says. A text that stands once
in a dictionary may be meant a million times: how long the longest is, is read from the dictionary's own page. Left out:
everything that Arrow's own reader checks, and encrypted files.
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from probe.tasks.thrift import Struct, Unreadable, read_struct

MAGIC = b"PAR1"
MAX_FOOTER = 32 << 20
TEXT, FIXED = 6, 7  # physical types: BYTE_ARRAY, FIXED_LEN_BYTE_ARRAY
DELTA = 7  # encoding DELTA_BYTE_ARRAY
CODECS = {1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
UNPACKED, PACKED, DATA, DATA_V2 = 2, 3, 5, 8  # fields of the header of a page
WINDOWS = (1 << 10, 1 << 16, 16 << 20)  # bytes a header is looked for in: statistics may be long
MAX_PAGES = 1_000_000


@dataclass(frozen=True)
class Chunk:
    """One column in one row group: where its pages stand, and what the footer says of them."""

    dictionary: int
    data: int
    packed: int
    unpacked: int
    values: int
    encodings: tuple[int, ...]
    codec: int

    @property
    def start(self) -> int:
        """Where its first page stands."""
        return self.dictionary if 0 < self.dictionary < self.data else self.data


@dataclass(frozen=True)
class Leaf:
    """One column of numbers or texts; `top`: the column it is a part of; `width` of every value where it is fixed."""

    top: str
    path: str
    kind: int
    width: int
    nested: bool
    chunks: tuple[Chunk, ...]

    @property
    def repeats(self) -> bool:
        """Whether a text may stand for all of the page before it: then it is no dictionary either."""
        return any(DELTA in chunk.encodings for chunk in self.chunks)

    @property
    def as_words(self) -> bool:
        """Whether it is read as a dictionary: what stands in lists or objects cannot be, beyond one row group."""
        return self.kind == TEXT and not self.nested and not self.repeats


@dataclass(frozen=True)
class Footer:
    """How many rows there are, and every column of numbers or texts."""

    rows: int
    leaves: tuple[Leaf, ...]


@dataclass(frozen=True)
class Pages:
    """What the pages of a chunk come to: bytes, unpacked; those of the largest; values."""

    bytes: int
    largest: int
    values: int


def read_footer(file: BinaryIO, size: int) -> Footer:
    """Of a file of `size` bytes. Unreadable where it is no parquet file, or not a whole one."""
    file.seek(max(0, size - 8))
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or not 0 < length <= min(MAX_FOOTER, size - 12):
        raise Unreadable("there is no footer at its end")
    file.seek(size - 8 - length)
    try:
        said, _ = read_struct(file.read(length) + b"\0")
        groups = [[_chunk(each[3]) for each in group[1]] for group in said[4]]
        described = list(_described(said[2]))
        if any(len(group) != len(described) for group in groups):
            raise Unreadable("a row group lacks a column")
        chunks = list(zip(*groups, strict=True)) if groups else [()] * len(described)
        leaves = tuple(Leaf(*about, chunks=each) for about, each in zip(described, chunks, strict=True))
        return Footer(_number(said, 3), leaves)
    except (KeyError, IndexError, TypeError, AttributeError) as err:
        raise Unreadable("its footer is damaged") from err


def pages(file: BinaryIO, chunk: Chunk, size: int) -> Pages:
    """Of one column in one row group of a file of `size` bytes. Unreadable where a header makes no sense."""
    place, end = chunk.start, min(chunk.start + chunk.packed, size)
    total = largest = values = 0
    for _ in range(MAX_PAGES):
        if place >= end or values >= chunk.values:
            return Pages(total, largest, values)
        header, length = _header(file, place)
        unpacked, packed = _number(header, UNPACKED), _number(header, PACKED)
        total, largest = total + unpacked, max(largest, unpacked)
        about = header.get(DATA) or header.get(DATA_V2)
        values += _number(about, 1) if isinstance(about, dict) else 0
        place += length + packed
    raise Unreadable(f"a column has more than {MAX_PAGES:,} pages")


def longest_word(file: BinaryIO, chunk: Chunk) -> int:
    """Bytes of the longest text in the dictionary of a chunk whose pages were walked; 0 where it has none."""
    if chunk.start == chunk.data:
        return 0
    header, length = _header(file, chunk.start)
    unpacked = _number(header, UNPACKED)
    file.seek(chunk.start + length)
    data = file.read(_number(header, PACKED))
    try:
        if chunk.codec:
            data = pa.Codec(CODECS[chunk.codec]).decompress(data, unpacked, asbytes=True)
        return max(_lengths(data), default=0)
    except (pa.ArrowException, ValueError, OSError, KeyError, struct.error):
        return unpacked  # the reader will say what is wrong with it


def _lengths(words: bytes) -> Iterator[int]:
    """Of texts that stand one behind the other, each behind its length."""
    at = 0
    while at < len(words):
        (length,) = struct.unpack_from("<I", words, at)
        at += 4 + length
        yield length


def _described(schema: list[Struct]) -> Iterator[tuple[str, str, int, int, bool]]:
    """What a Leaf holds beside its chunks, in order. The schema is a tree, written depth first."""
    open_: list[list[Any]] = [["", schema[0].get(5, 0)]]  # names, and how many children are still to come
    for element in schema[1:]:
        while open_[-1][1] == 0:
            open_.pop()
        open_[-1][1] -= 1
        name = element[4].decode()
        if element.get(5, 0):
            open_.append([name, element[5]])
            continue
        path = [*(name for name, _ in open_[1:]), name]
        width = element.get(2, 0) if element.get(1) == FIXED else 0
        yield path[0], ".".join(path), element.get(1, -1), width, len(path) > 1


def _chunk(said: Struct) -> Chunk:
    return Chunk(
        dictionary=_number(said, 11, 0),
        data=_number(said, 9),
        packed=_number(said, 7),
        unpacked=_number(said, 6),
        values=_number(said, 5),
        encodings=tuple(said[2]),
        codec=_number(said, 4),
    )


def _number(header: Struct, name: int, default: int | None = None) -> int:
    value = header.get(name, default)
    if not isinstance(value, int) or value < 0:
        raise Unreadable("a size is missing or negative")
    return value


def _header(file: BinaryIO, place: int) -> tuple[Struct, int]:
    """The header of a page that starts there, and its length."""
    for window in WINDOWS:
        file.seek(place)
        data = file.read(window)
        try:
            return read_struct(data)
        except IndexError:
            if len(data) < window:
                break
    raise Unreadable("the header of a page is cut off")
