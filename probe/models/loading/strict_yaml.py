"""What does this hand-written YAML file say, if it says one thing only? Data, and the line each part stands on.

Stricter than `yaml.safe_load`: a key given twice, a merge (<<), an alias, a tag, a second document, half of a surrogate
pair and a file that is too large or too deep are errors, with a line number. Words are null, true and false in YAML
1.1's spellings, and numbers in decimal (`3e-3` is one, as in YAML 1.2); everything else is text, so also 0x1F, 1_000
and 1:30, of which YAML 1.1 makes numbers that nobody meant. One pass over the parser's events, no recursion.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from probe.errors import BadInput
from probe.store.regular import read_regular

MAX_BYTES = 2_000_000
MAX_DEPTH = 32
MAX_DIGITS = 18  # of whole numbers: they fit 64 bits

_Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads ten times as fast
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {spelt: word in ("yes", "true", "on") for word in ("yes", "no", "true", "false", "on", "off")
         for spelt in (word, word.title(), word.upper())}  # fmt: skip
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_ODD = {
    sign + dot: float(sign + dot[1:]) for sign in ("", "+", "-") for dot in (".inf", ".Inf", ".INF")
} | dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan"))


@dataclass(frozen=True)
class Document:
    """What a file says, and where."""

    path: Path
    data: Any
    lines: dict[tuple[str, ...], int]  # of every key of a mapping, by the keys that lead to it

    def line(self, keys: tuple[str | int, ...]) -> int:
        """The line of the deepest part of data[keys[0]][keys[1]]... that exists."""
        named = tuple(map(str, keys))
        return next((self.lines[named[:n]] for n in range(len(named), 0, -1) if named[:n] in self.lines), 1)


def read_yaml(path: Path) -> Document:
    """The one document of the file. BadInput, with the line, for anything that is not plain, single and unambiguous."""
    text, building = _text(path), _Building()
    try:
        building.take(yaml.parse(text, Loader=_Parser))
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise BadInput(f"malformed YAML: {err.problem or err.context}", where=f"{path}{line}", do="mend it") from err
    except (yaml.YAMLError, ValueError) as err:
        raise BadInput(f"malformed YAML: {err}", where=str(path), do="mend it") from err
    return Document(path, building.data, building.lines)


@dataclass
class _Open:
    """A mapping or a list whose end was not met yet."""

    data: Any
    path: tuple[str, ...]
    key: Any = None
    has_key: bool = False
    texts: set[str] = field(default_factory=set)  # of its keys, as they are written


class _Building:
    """The data of a stream of events, as far as it was read."""

    def __init__(self) -> None:
        self.data: Any = None
        self.lines: dict[tuple[str, ...], int] = {}
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, events: Iterable[yaml.Event]) -> None:
        """Build what the events say."""
        for event in events:
            self._check(event)
            if isinstance(event, yaml.ScalarEvent):
                self._put(_scalar(event), event)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                data: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                path = self._put(data, event)
                self._open.append(_Open(data, path))
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                self._open.pop()

    def _check(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise _fault("an alias (*name) is not allowed: write the value out", event)
        tag = getattr(event, "tag", None)
        if tag:
            raise _fault(f"a tag ({tag[:60]}) is not allowed: write the value alone", event)
        if len(self._open) > MAX_DEPTH:
            raise _fault("nested too deeply", event)
        self._documents += isinstance(event, yaml.DocumentStartEvent)
        if self._documents > 1:
            raise _fault("a second document", event)

    def _put(self, value: Any, event: yaml.Event) -> tuple[str, ...]:
        """Put a value in its place, or keep it as the key of the next one; the path to it."""
        if not self._open:
            self.data = value
            return ()
        place = self._open[-1]
        if isinstance(place.data, list):
            place.data.append(value)
            return (*place.path, str(len(place.data) - 1))
        if not place.has_key:
            self._name(place, value, event)
            return place.path
        place.data[place.key], place.has_key = value, False
        return (*place.path, str(place.key))

    def _name(self, place: _Open, key: Any, event: yaml.Event) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            raise _fault("a key must be one word", event)
        if event.value == "<<" and event.implicit[0]:
            raise _fault("a merge (<<) is not allowed: write the keys out", event)
        path = (*place.path, str(key))
        if key in place.data or event.value in place.texts:
            what = f"the key {event.value[:60]!r} is given twice, here and on line {self.lines.get(path, '?')}"
            raise _fault(what, event)
        place.key, place.has_key = key, True
        place.texts.add(event.value)
        self.lines[path] = _mark(event).line + 1


def _scalar(event: yaml.ScalarEvent) -> Any:
    """The value of a word: text where it is quoted."""
    text = event.value
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise _fault("half of a surrogate pair is no character", event)
    if not event.implicit[0]:
        return text
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _WHOLE.fullmatch(text):
        if len(text.lstrip("+-")) > MAX_DIGITS:
            raise _fault(f"a number of {len(text)} digits: at most {MAX_DIGITS} are read", event)
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else _ODD.get(text, text)


def _fault(what: str, event: yaml.Event) -> ConstructorError:
    return ConstructorError(None, None, what, _mark(event))


def _mark(event: yaml.Event) -> Any:
    return event.start_mark


def _text(path: Path) -> str:
    try:
        return read_regular(path, MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError as err:
        raise BadInput(f"{path.name} is not UTF-8 text: {err.reason}", where=str(path), do="save it as UTF-8") from err
