"""Where does a field stand in a row of published outputs, and what does its value say?

Which columns a field is known under is in `column_aliases`.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from probe.errors import BadInput
from probe.tasks.column_aliases import NAMES
from probe.tasks.gold import gold_answer

FIELDS = tuple(NAMES)
NEEDED = ("problem", "text", "answer")
_YES, _NO = {"true", "yes", "right", "correct", "1", "1.0"}, {"false", "no", "wrong", "incorrect", "0", "0.0"}
CUT_OFF = ("length", "max_tokens", "max_length", "max_new_tokens", "model_length", "truncated")
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}(?:\.0+)?\s*")


def find_paths(row: Mapping[str, Any], given: Mapping[str, str], where: str) -> dict[str, str]:
    """The path of every field: as given ("" leaves it out), else the first known name whose value can be read."""
    paths = {field: given[field] if field in given else _recognised(row, field) for field in FIELDS}
    missing = [field for field in NEEDED if not paths[field]]
    if missing:
        what = f"no column is recognised as {missing[0]!r}"
        raise BadInput(what, where=where, do=f"say which: --map {missing[0]}=COLUMN; it has {list(row)[:40]}")
    return {field: path for field, path in paths.items() if path}


def _recognised(row: Mapping[str, Any], field: str) -> str:
    for name in NAMES[field]:
        try:
            values = opened(field, dig(row, name, ""))
            for value in values if isinstance(values, list) else [values]:
                if value is None:
                    raise BadInput("nothing there")
                PARSERS[field](value, field, "")
        except BadInput:
            continue
        return name
    return ""


def dig(value: Any, path: str, where: str) -> Any:
    """What a path leads to: a name as it is first (names may hold dots), then name by name; BadInput where it ends."""
    if isinstance(value, Mapping):
        if path in value:
            return value[path]
        parts = path.split(".")
        for length in range(len(parts) - 1, 0, -1):
            name = ".".join(parts[:length])
            if name in value:
                return dig(value[name], ".".join(parts[length:]), where)
        raise BadInput(f"there is no {path!r}", where=where, do=f"map another column: it has {list(value)[:40]}")
    if isinstance(value, list):
        name, _, rest = path.partition(".")
        if not name.isdecimal():
            return [dig(item, path, where) for item in value]
        if len(name) < 10 and int(name) < len(value):
            return dig(value[int(name)], rest, where) if rest else value[int(name)]
    raise BadInput(f"nothing is called {path!r} in a {type(value).__name__}", where=where, do="map another column")


def opened(field: str, value: Any, where: str = "") -> Any:
    """A chat as its last message of the user; lists in lists as one list; an empty list is refused."""
    if field in ("prompt", "problem") and isinstance(value, list) and all(_is_message(each) for each in value):
        said = [each["content"] for each in value if each.get("role") == "user"]
        return said[-1] if said else None
    if not isinstance(value, list):
        return value
    flat = [item for each in value for item in (each if isinstance(each, list) else [each])]
    if not flat:
        raise BadInput(f"{field} is an empty list", where=where, do="drop that row")
    return flat


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and {"role", "content"} <= set(value)


def _text(value: Any, what: str, where: str) -> str:
    if not isinstance(value, str):
        raise BadInput(f"{what} is {type(value).__name__}, text is needed", where=where, do="mend or drop that row")
    return value


def _problem(value: Any, what: str, where: str) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value, what, where)


def _answer(value: Any, what: str, where: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return str(int(value)) if value == int(value) else repr(value)
    answer = gold_answer(_text(value, what, where))
    if not answer:
        raise BadInput(f"{what} is empty", where=where, do="a response without a gold answer cannot be graded")
    return answer


def _right(value: Any, what: str, where: str) -> bool:
    said = str(value).strip().lower()
    if not isinstance(value, str | bool | int | float) or said not in _YES | _NO:
        raise BadInput(
            f"{what} is {value!r:.40}, neither right nor wrong", where=where, do="map true and false, 1 and 0"
        )
    return said in _YES


def _number(value: Any, what: str, where: str) -> float:
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise BadInput(f"{what} is {value!r:.40}, a number is needed", where=where, do="mend or drop that row")


def _confidence(value: Any, what: str, where: str) -> float | None:
    return None if value is None or value == "" else _number(value, what, where)


def _integer(value: Any, what: str, where: str) -> int:
    if isinstance(value, str | int | float) and not isinstance(value, bool) and _INTEGER.fullmatch(str(value)):
        return int(str(value).partition(".")[0])
    raise BadInput(f"{what} is {value!r:.40}, a whole number is needed", where=where, do="leave it out: --map sample=")


def _stop(value: Any, what: str, where: str) -> str | None:
    """ "length" where a response was cut off, "eos" where it ended, under the names that are in use."""
    said = "" if value is None else _text(value, what, where).strip().lower()
    return None if not said else "length" if said in CUT_OFF else "eos"


PARSERS: dict[str, Callable[[Any, str, str], Any]] = {
    "problem": _problem,
    "text": _text,
    "answer": _answer,
    "sample": _integer,
    "temperature": _number,
    "confidence": _confidence,
    "right": _right,
    "stop": _stop,
    "prompt": _text,
}
