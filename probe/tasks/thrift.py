"""What does a struct in thrift's compact protocol hold? Fields by number: numbers, bytes, lists, structs.

Read here and not by a library, as pyarrow's own look at a parquet footer ends the process where a value makes no sense.
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md     Left out: maps, names of fields.
"""

from typing import Any, TypeAlias

Struct: TypeAlias = dict[int, Any]
MAX_DEPTH = 12
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
NUMBERS = (4, 5, 6)


class Unreadable(ValueError):
    """Bytes that are no such struct."""


def read_struct(data: bytes, at: int = 0, depth: int = 0) -> tuple[Struct, int]:
    """The struct that starts there, and where it ends. IndexError where the bytes end first."""
    found: Struct = {}
    name = 0
    while data[at]:
        kind, delta = data[at] & 15, data[at] >> 4
        at += 1
        if delta:
            name += delta
        else:
            name, at = _zigzag(data, at)
        if name in found:  # readers differ in which one they take
            raise Unreadable(f"a struct has field {name} twice")
        found[name], at = _value(data, at, kind, depth)
    return found, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if depth > MAX_DEPTH:
        raise Unreadable("a struct is nested without end")
    if kind in (TRUE, FALSE):
        return kind == TRUE, at
    if kind == BYTE:
        return data[at], at + 1
    if kind in NUMBERS:
        return _zigzag(data, at)
    if kind == DOUBLE:
        return None, at + 8
    if kind == BINARY:
        length, at = _varint(data, at)
        return data[at : at + length], at + length
    if kind in (LIST, SET):
        return _list(data, at, depth)
    if kind == STRUCT:
        return read_struct(data, at, depth + 1)
    raise Unreadable(f"a struct has a field of kind {kind}")


def _list(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    length, kind = data[at] >> 4, data[at] & 15
    at += 1
    if length == 15:
        length, at = _varint(data, at)
    items = []
    for _ in range(length):
        item, at = (data[at] == TRUE, at + 1) if kind in (TRUE, FALSE) else _value(data, at, kind, depth + 1)
        items.append(item)
        data[at]  # behind every item stands at least the end of the struct
    return items, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
    raise Unreadable("a number does not end")


def _zigzag(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return value >> 1 ^ -(value & 1), at
