"""Where does a field stand in a row of published outputs, and what does its value say?

Which columns a field is known under is in `column_aliases`.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probe.errors import BadInput
from probe.tasks.column_aliases import NAMES, SCORES
from probe.tasks.gold import gold_answer

FIELDS = tuple(NAMES)
NEEDED = ("problem", "text", "answer")
ASKED = {"prompt": ("user", "human"), "problem": ("user", "human"), "text": ("assistant", "gpt")}  # who speaks there
NULLABLE = ("right", "confidence", "stop")  # what a response may lack
_YES = {"true", "yes", "right", "correct", "1", "1.0", "c", "pass", "passed"}
_NO = {"false", "no", "wrong", "incorrect", "0", "0.0", "-1", "-1.0", "i", "n", "fail", "failed", "timeout"}
CUT_OFF = ("length", "max_tokens", "max_length", "max_new_tokens", "model_length", "truncated")
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}(?:\.0+)?\s*")


@dataclass(frozen=True)
class Paths:
    """The path of every field that was found; which of them were recognised; where else a field may stand."""

    of: dict[str, str]
    recognised: tuple[str, ...]
    others: dict[str, tuple[str, ...]]


def find_paths(rows: Sequence[Mapping[str, Any]], given: Mapping[str, str], where: str) -> Paths:
    """The path of every field in the first rows: as given ("" leaves it out), else the first name that can be read.

    What every response has is looked for in the first row that has it, a label or a confidence likewise.
    """
    unknown = sorted(set(given) - set(FIELDS))
    if unknown:
        raise BadInput(f"there is no column {unknown[0]!r} to map to", where="--map", do=f"give one of {list(FIELDS)}")
    found = {field: [given[field]] if field in given else _recognised(rows, field) for field in FIELDS}
    missing = [field for field in NEEDED if not any(found[field])]
    if missing and not (missing == ["answer"] and any(found["right"])):  # labels need no gold answer beside them
        what = f"no column is recognised as {missing[0]!r}"
        gold = ", or --gold FILE --on COLUMN" if missing[0] == "answer" else ""
        do = f"say which: --map {missing[0]}=COLUMN{gold}; it has {list(rows[0])[:40]}"
        raise BadInput(what, where=where, do=do)
    paths = {field: names[0] for field, names in found.items() if any(names)}
    for field in set(NULLABLE) & set(paths) & set(given):
        if not any(_there(row, paths[field]) for row in rows):
            dig(rows[0], paths[field], where)  # says what there is
    recognised = tuple(field for field in paths if field not in given)
    return Paths(paths, recognised, {field: tuple(found[field][1:]) for field in NULLABLE if found[field][1:]})


def _recognised(rows: Sequence[Mapping[str, Any]], field: str) -> list[str]:
    """The known names of a field that can be read; those that hold a value before those that hold none yet."""
    if field not in NULLABLE:
        read = [name for name in NAMES[field] if _reads(rows[0], field, name)]
        return read or [name for name in NAMES[field] if any(_reads(row, field, name) for row in rows)]
    scorers = [name for row in rows[:1] if isinstance(row.get(SCORES), Mapping) for name in row[SCORES]]
    scores = [f"{SCORES}.{name}.value" for name in scorers] if field == "right" else []
    there = [name for name in (*NAMES[field], *scores) if any(_there(row, name) for row in rows)]
    filled = {name: next((row for row in rows if _filled(row, name)), None) for name in there}
    read = [name for name in there if (row := filled[name]) is not None and _reads(row, field, name)]
    return read + [name for name in there if filled[name] is None]


def _there(row: Mapping[str, Any], path: str) -> bool:
    try:
        dig(row, path, "")
    except BadInput:
        return False
    return True


def _filled(row: Mapping[str, Any], path: str) -> bool:
    return _there(row, path) and dig(row, path, "") not in (None, "")


def _reads(row: Mapping[str, Any], field: str, name: str) -> bool:
    try:
        values = opened(field, dig(row, name, ""))
        for value in values if isinstance(values, list) else [values]:
            if value is None and field not in NULLABLE:
                return False
            PARSERS[field](value, field, "")
    except BadInput:
        return False
    return True


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
    """A chat as its last message of the user, or of the assistant where the response is looked for; parts of a
    message as one text; lists in lists as one list; an empty list is refused."""
    if not isinstance(value, list):
        return value
    if field in ASKED and value and all(_is_message(each) for each in value):
        said = [each for each in map(_message, value) if each[0] in ASKED[field]]
        return _joined(said[-1][1]) if said else None
    if field in ASKED:
        value = [opened(field, each, where) if _is_chat(each) else _joined(each) for each in value]
    flat = [item for each in value for item in (each if isinstance(each, list) else [each])]
    if not flat:
        raise BadInput(f"{field} is an empty list", where=where, do="drop that row")
    return flat


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and ({"role", "content"} <= set(value) or {"from", "value"} <= set(value))


def _is_chat(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_message(each) for each in value)


def _message(value: Mapping[str, Any]) -> tuple[Any, Any]:
    """Who speaks, and what."""
    return (value["role"], value["content"]) if "role" in value else (value["from"], value["value"])


def _joined(content: Any) -> Any:
    """The text of a message that is given in parts; anything else as it is."""
    parts = isinstance(content, list) and bool(content) and all(isinstance(e, Mapping) and "type" in e for e in content)
    return "".join(str(each.get("text", "")) for each in content if each["type"] == "text") if parts else content


def _text(value: Any, what: str, where: str) -> str:
    if not isinstance(value, str):
        raise BadInput(f"{what} is {type(value).__name__}, text is needed", where=where, do="mend or drop that row")
    return value


def _problem(value: Any, what: str, where: str) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value, what, where)


def _answer(value: Any, what: str, where: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value == int(value) else repr(value)
    answer = gold_answer(_text(value, what, where))
    if not answer:
        raise BadInput(f"{what} is empty", where=where, do="a response without a gold answer cannot be graded")
    return answer


def _right(value: Any, what: str, where: str) -> bool | None:
    if value is None or value == "":
        return None
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
