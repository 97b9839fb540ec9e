"""How much of a file from outside is taken, and what no text may hold."""

from typing import Any

from probe.errors import BadInput

MAX_VALUE = 16 << 20  # bytes of a line of JSON, characters of a csv field, bytes of one text in parquet or Arrow
MAX_JSON = 256 << 20  # bytes of a .json file, which is read whole
MAX_ROWS = 2_000_000
MAX_BYTES = 2 << 30  # characters and numbers taken from one file
MAX_DEPTH = 50

Row = tuple[str, dict[str, Any]]


def check_text(value: Any, where: str, depth: int = 0) -> None:
    """BadInput where a text cannot be written as UTF-8 (half a surrogate pair), or values are nested without end."""
    if depth > MAX_DEPTH:
        raise BadInput(f"values are nested more than {MAX_DEPTH} deep", where=where, do="flatten or drop that row")
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as err:
            half = f"U+{ord(value[err.start]):04X}"
            raise BadInput(f"a text holds half a character ({half})", where=where, do="mend or drop that row") from err
    elif isinstance(value, dict):
        for key, item in value.items():
            check_text(key, where, depth + 1)
            check_text(item, where, depth + 1)
    elif isinstance(value, list):
        for item in value:
            check_text(item, where, depth + 1)


def size(value: Any) -> int:
    """About how many bytes a value takes."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(size(item) for item in value.values())
    return sum(size(item) for item in value) if isinstance(value, list) else 8
