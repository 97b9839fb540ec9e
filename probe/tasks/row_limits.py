"""How much of a file from outside is taken, and what no text may hold.

All limits are bytes of what the values come to, not of the file: a small file may unfold without end. What unfolds to
much more than the file holds is refused earlier (`most_bytes`, `most_values`).
"""

from pathlib import Path
from typing import Any

from probe.errors import BadInput

MAX_FILE = 1 << 40  # bytes of a file that is read row by row
MAX_VALUE = 16 << 20  # bytes of a line of JSON, of a csv field, of one text in parquet or Arrow
MAX_ROW = 64 << 20  # bytes of one row of parquet or Arrow
MAX_JSON = 128 << 20  # bytes of a .json file, which is read whole
MAX_LISTS = 4_000_000  # lists and objects in it
MAX_DIGITS = 1000  # of one number in JSON
MAX_ROWS = 2_000_000
MAX_BATCH = 1 << 30  # bytes of one batch of an Arrow file, unpacked
MAX_BYTES = 2 << 30  # of the values taken from one file
MAX_DEPTH = 50
FLOOR_BYTES, TIMES = 256 << 20, 200  # what any file may unfold to, and how many times its own size
FLOOR_VALUES, VALUES = 16 << 20, 64  # the same in numbers, and numbers for each byte of it

Row = tuple[str, dict[str, Any]]


def most_bytes(path: Path, streamed: bool = False) -> int:
    """How many bytes of values are taken from this file; `streamed`: no more than a few rows are held at a time."""
    unfolded = max(FLOOR_BYTES, TIMES * path.stat().st_size)
    return unfolded if streamed else min(MAX_BYTES, unfolded)


def most_values(path: Path) -> int:
    """How many numbers, texts and blanks are taken from this file."""
    return max(FLOOR_VALUES, VALUES * path.stat().st_size)


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
