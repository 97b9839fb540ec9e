"""What does an Arrow stream or file say that it holds? Its messages, walked without decoding one.

    [ARROW1]  (FFFFFFFF, length, metadata, body)*  00000000  [footer]       https://arrow.apache.org/docs/format/Columnar

The body of a message may be compressed, and says only in its own first bytes what it unfolds to. So these are added up
first, and a batch that would not fit into MAX_BATCH is refused before anything is allocated for it. Read from the
metadata (a flatbuffer): what kind of message it is, how long its body is, where its buffers lie. Bytes that lead out of
the metadata or the file are a BadInput. Left out: everything that Arrow's own reader checks.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from probe.errors import BadInput
from probe.tasks.row_limits import MAX_BATCH, MAX_ROWS

MAGIC = b"ARROW1"
MAX_METADATA = 64 << 20
SCHEMA, DICTIONARY, BATCH = 1, 2, 3  # kinds of message
VERSION, KIND, HEADER, LENGTH = range(4)  # slots of a Message
BUFFERS, COMPRESSION = 2, 3  # slots of a RecordBatch


@dataclass(frozen=True)
class Messages:
    """Where the first one begins, how many batches of rows there are, and whether the end is marked."""

    start: int
    batches: int
    ended: bool


def check_messages(path: Path) -> Messages:
    """The messages of an Arrow stream or file. BadInput where one is cut off, or unfolds to more than is taken."""
    try:
        with path.open("rb") as file:
            return _walk(file, path, path.stat().st_size)
    except (struct.error, OverflowError) as err:
        raise _cut(path, "its metadata lead nowhere") from err


def _walk(file: BinaryIO, path: Path, size: int) -> Messages:
    start = _start(file)
    file.seek(start)
    batches = dictionaries = 0
    while head := file.read(4):
        (length,) = struct.unpack("<i", head)
        if length == -1:
            (length,) = struct.unpack("<i", file.read(4))
        if length == 0:
            return Messages(start, batches, True)
        if not 0 < length <= min(MAX_METADATA, size - file.tell()):
            raise _cut(path, "a message is cut off")
        kind, unfolded, end = _message(file, file.read(length), size)
        batches += kind == BATCH
        dictionaries += unfolded if kind == DICTIONARY else 0
        if max(unfolded, dictionaries) > MAX_BATCH or batches > MAX_ROWS:
            what = (
                f"batch {batches} unfolds to {max(unfolded, dictionaries):,} bytes, more than the {MAX_BATCH:,} taken"
            )
            raise BadInput(what, where=str(path), do="write it in batches of fewer rows")
        file.seek(end)
    return Messages(start, batches, False)


def _start(file: BinaryIO) -> int:
    """Behind the magic word of a file, and its padding to 8 or 64 bytes."""
    if file.read(8)[:6] != MAGIC:
        return 0
    start = 8
    while start < 64 and file.read(8) == b"\0" * 8:
        start += 8
    return start


def _message(file: BinaryIO, metadata: bytes, size: int) -> tuple[int, int, int]:
    """The kind of a message, the bytes that its body unfolds to, and where it ends in the file."""
    table = _at(metadata, "<I", 0)
    kind, header = _scalar(metadata, table, KIND, "<B"), _slot(metadata, table, HEADER)
    body, begin = _scalar(metadata, table, LENGTH, "<q"), file.tell()
    if not 0 <= body <= size - begin:
        raise struct.error("the body is cut off")
    if kind == SCHEMA and header is not None:
        if _scalar(metadata, _follow(metadata, header), 0, "<h"):
            raise struct.error("big-endian")
        return kind, 0, begin + body
    if kind not in (DICTIONARY, BATCH) or header is None:
        return kind, body, begin + body
    batch = _follow(metadata, header)
    if kind == DICTIONARY:
        batch = _follow(metadata, _present(_slot(metadata, batch, 1)))
    return kind, _unfolded(file, metadata, batch, begin, body), begin + body


def _unfolded(file: BinaryIO, metadata: bytes, batch: int, begin: int, body: int) -> int:
    """The bytes of all buffers: as they say themselves where they are compressed."""
    if _slot(metadata, batch, COMPRESSION) is None:
        return body
    vector = _follow(metadata, _present(_slot(metadata, batch, BUFFERS)))
    total = 0
    for i in range(_at(metadata, "<I", vector)):
        offset, length = _at(metadata, "<q", vector + 4 + 16 * i), _at(metadata, "<q", vector + 12 + 16 * i)
        if not (0 <= offset <= body and 0 <= length <= body - offset):
            raise struct.error("a buffer lies outside the body")
        if length >= 8:
            file.seek(begin + offset)
            (declared,) = struct.unpack("<q", file.read(8))
            if declared < -1:
                raise struct.error("a buffer of no length")
            total += length - 8 if declared == -1 else declared
    return total


def _at(data: bytes, kind: str, place: int) -> int:
    if place < 0:
        raise struct.error("outside the metadata")
    return int(struct.unpack_from(kind, data, place)[0])


def _slot(data: bytes, table: int, slot: int) -> int | None:
    """Where a field of a flatbuffer table stands; None where it is not set."""
    vtable = table - _at(data, "<i", table)
    if 4 + 2 * slot >= _at(data, "<H", vtable):
        return None
    offset = _at(data, "<H", vtable + 4 + 2 * slot)
    return table + offset if offset else None


def _scalar(data: bytes, table: int, slot: int, kind: str) -> int:
    place = _slot(data, table, slot)
    return 0 if place is None else _at(data, kind, place)


def _follow(data: bytes, place: int) -> int:
    return place + _at(data, "<I", place)


def _present(place: int | None) -> int:
    if place is None:
        raise struct.error("a field is missing")
    return place


def _cut(path: Path, why: str) -> BadInput:
    return BadInput(f"not a whole Arrow stream: {why}", where=str(path), do="fetch the file again")
