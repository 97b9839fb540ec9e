"""What does JSON from outside say, once it says one thing?

No key twice in an object, no number of thousands of digits, no half character, no nesting without end, UTF-8.
"""

import json
from collections import Counter
from typing import Any, NoReturn

from probe.errors import BadInput
from probe.tasks.row_limits import MAX_DEPTH, MAX_DIGITS, check_text

JSON_LINES = "give one JSON object a line; the file may be cut off"


class _Twice(ValueError):
    """One object has a key twice."""


def parsed_json(data: bytes, where: str, what: str = "the file") -> Any:
    """What JSON says, once it says one thing: see the top. BadInput names what is wrong, and where."""
    try:
        value = _DECODER.decode(data.decode("utf-8-sig"))
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


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_int=_whole, parse_float=_decimal)
