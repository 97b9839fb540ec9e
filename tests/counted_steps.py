"""How many steps does a scan of a text take? Counted, so that growth is a fact and not a matter of the machine.

`CountingPattern` is a backtracking matcher over the parse tree of `re`, with the choices of `re` and a count; a
`CountingText` counts the characters that methods of str look at; `steps_of` adds the lines of Python run in `probe`.
`test_linear_text` checks that the matcher finds what `re` finds.
"""

import re
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

LIMIT = 1_000_000  # steps; what takes more on a text this small grows too fast (256 × take 490,000, 1,920 each)
Found = tuple[int, dict[int, Any]] | None


class TooMany(Exception):
    """More steps than LIMIT."""


class Counter:
    """The one count, of all steps."""

    steps = 0

    @classmethod
    def add(cls, n: int = 1) -> None:
        cls.steps += n
        if cls.steps > LIMIT:
            raise TooMany


def steps_of(call: Callable[[str], Any], text: str, *, lines: bool = True) -> int:
    """The steps of one call: matcher steps, characters looked at by methods of str, lines of Python in `probe`."""
    Counter.steps = 0

    def trace(frame: Any, event: str, arg: Any) -> Any:
        if "/probe/" not in frame.f_code.co_filename:
            return None
        Counter.add()
        return trace

    limit, before = sys.getrecursionlimit(), sys.gettrace()
    sys.setrecursionlimit(200_000)
    if lines:
        sys.settrace(trace)
    try:
        call(CountingText(text))
    finally:
        sys.settrace(before)
        sys.setrecursionlimit(limit)
    return Counter.steps


def _counted(name: str) -> Callable[..., Any]:
    plain = getattr(str, name)

    def method(self: str, *args: Any) -> Any:
        out = plain(self, *args)
        if name in ("find", "index"):
            start = args[1] if len(args) > 1 else 0
            Counter.add((out if out >= 0 else len(self)) - start + 1)
        elif name in ("rfind", "rindex"):
            Counter.add(len(self) - out)
        else:
            Counter.add(len(out) if name == "__getitem__" else len(self))
        if isinstance(out, str):
            return CountingText(out)
        return type(out)(map(CountingText, out)) if isinstance(out, list | tuple) else out

    return method


_METHODS = [
    "find",
    "rfind",
    "index",
    "rindex",
    "count",
    "replace",
    "strip",
    "lstrip",
    "rstrip",
    "split",
    "rsplit",
    "splitlines",
    "lower",
    "upper",
    "casefold",
    "translate",
    "partition",
    "rpartition",
    "isalnum",
    "isascii",
    "isdigit",
    "encode",
    "__getitem__",
    "__add__",
    "__contains__",
    "removesuffix",
    "removeprefix",
]
CountingText = type("CountingText", (str,), {name: _counted(name) for name in _METHODS})


@lru_cache(maxsize=1 << 16)
def _in_category(category: str, char: str) -> bool:
    kind = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[category.rpartition("_")[2]]
    return ("NOT_" in category) != (re.match(kind, char) is not None)


def _one(node: tuple[Any, Any], flags: int) -> Callable[[str], bool] | None:
    """Whether a character is matched, for a node that is one character wide; None for every other node."""
    code, value = node
    fold = str.lower if flags & re.IGNORECASE else (lambda char: char)
    if code is op.LITERAL:
        return lambda char: fold(char) == fold(chr(value))
    if code is op.NOT_LITERAL:
        return lambda char: fold(char) != fold(chr(value))
    if code is op.ANY:
        return lambda char: bool(flags & re.DOTALL) or char != "\n"
    if code is not op.IN:
        return None
    wanted = [item for item in value if item[0] is not op.NEGATE]
    negated = len(wanted) < len(value)

    @lru_cache(maxsize=4096)
    def member(char: str) -> bool:
        return negated != any(_holds(item, fold(char), flags) for item in wanted)

    return member


def _holds(item: tuple[Any, Any], char: str, flags: int) -> bool:
    kind, value = item
    if kind is op.LITERAL:
        return ord(char) == value
    if kind is op.RANGE:
        return value[0] <= ord(char) <= value[1] or (
            bool(flags & re.IGNORECASE) and value[0] <= ord(char.upper()[0]) <= value[1]
        )
    ascii_only = bool(flags & re.ASCII) and not char.isascii()
    return ("NOT_" in str(value)) if ascii_only else _in_category(str(value), char)


Then = Callable[[int, dict[int, Any]], Found]
Part = Callable[[str, int, dict[int, Any], Then], Found]


def _sequence(nodes: Any, flags: int) -> Part:
    parts = [_part(node, flags) for node in nodes]

    def run(text: str, at: int, groups: dict[int, Any], then: Then) -> Found:
        def step(place: int, here: int, held: dict[int, Any]) -> Found:
            if place == len(parts):
                return then(here, held)
            return parts[place](text, here, held, lambda end, now: step(place + 1, end, now))

        return step(0, at, groups)

    return run


def _part(node: tuple[Any, Any], flags: int) -> Part:
    code, value = node
    test = _one(node, flags)
    if test is not None:
        return _character(test)
    if code is op.BRANCH:
        return _branch([_sequence(branch, flags) for branch in value[1]])
    if code is op.SUBPATTERN:
        group, on, off, inner = value
        return _group(group, _sequence(inner, (flags | on) & ~off))
    if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        return _repeat(code, value, flags)
    if code is op.ATOMIC_GROUP:
        return _atomic(_sequence(value, flags))
    if code in (op.ASSERT, op.ASSERT_NOT):
        width = value[1].getwidth()[0] if value[0] < 0 else 0
        return _look(_sequence(value[1], flags), width, code is op.ASSERT)
    if code is op.AT:
        return _place(str(value), flags)
    raise NotImplementedError(f"this matcher does not know {code}")


def _character(test: Callable[[str], bool]) -> Part:
    def run(text: str, at: int, groups: dict[int, Any], then: Then) -> Found:
        Counter.add()
        return then(at + 1, groups) if at < len(text) and test(str.__getitem__(text, at)) else None

    return run


def _branch(branches: list[Part]) -> Part:
    def run(text: str, at: int, groups: dict[int, Any], then: Then) -> Found:
        for branch in branches:
            if (found := branch(text, at, groups, then)) is not None:
                return found
        return None

    return run


def _group(group: int | None, inner: Part) -> Part:
    if group is None:
        return inner

    def run(text: str, at: int, groups: dict[int, Any], then: Then) -> Found:
        return inner(text, at, groups, lambda end, held: then(end, {**held, group: (at, end), 0: group}))

    return run


def _atomic(inner: Part) -> Part:
    def run(text: str, at: int, groups: dict[int, Any], then: Then) -> Found:
        found = inner(text, at, groups, lambda end, held: (end, held))
        return None if found is None else then(*found)

    return run


def _look(inner: Part, width: int, wanted: bool) -> Part:
    def run(text: str, at: int, groups: dict[int, Any], then: Then) -> Found:
        Counter.add()
        found = None if at < width else inner(text, at - width, groups, lambda end, held: (end, held))
        return then(at, found[1] if found and wanted else groups) if (found is not None) == wanted else None

    return run


def _place(name: str, flags: int) -> Part:
    def word(text: str, at: int) -> bool:
        return 0 <= at < len(text) and _in_category("WORD", str.__getitem__(text, at))

    def holds(text: str, at: int) -> bool:
        if "BOUNDARY" in name:
            return (word(text, at - 1) != word(text, at)) != ("NON" in name)
        if "BEGINNING" in name:
            line = flags & re.MULTILINE and not name.endswith("STRING")
            return at == 0 or bool(line and str.__getitem__(text, at - 1) == "\n")
        if name.endswith("STRING"):
            return at == len(text)
        rest = str.__getitem__(text, slice(at, at + 2))
        return rest in ("", "\n") or bool(flags & re.MULTILINE and rest[0] == "\n")

    def run(text: str, at: int, groups: dict[int, Any], then: Then) -> Found:
        Counter.add()
        return then(at, groups) if holds(text, at) else None

    return run


def _repeat(code: Any, value: Any, flags: int) -> Part:
    least, most, nodes = value
    most = float("inf") if most is op.MAXREPEAT else most
    test = _one(nodes[0], flags) if len(nodes) == 1 else None
    if test is not None:
        return _run_of_one(code, least, most, test)
    body = _sequence(nodes, flags)
    if code is op.POSSESSIVE_REPEAT:
        return _atomic(_run_of_many(op.MAX_REPEAT, least, most, _atomic(body)))
    return _run_of_many(code, least, most, body)


def _run_of_one(code: Any, least: int, most: float, test: Callable[[str], bool]) -> Part:
    def run(text: str, at: int, groups: dict[int, Any], then: Then) -> Found:
        end, last = at, min(len(text), at + most)
        if code is op.MIN_REPEAT:
            while end - at < least or (found := then(end, groups)) is None:
                Counter.add()
                if end >= last or not test(str.__getitem__(text, end)):
                    return None
                end += 1
            return found
        while end < last and test(str.__getitem__(text, end)):
            end += 1
            Counter.add()
        for stop in range(end, at + least - 1, -1):
            Counter.add()
            if (found := then(stop, groups)) is not None or code is op.POSSESSIVE_REPEAT:
                return found
        return None

    return run


def _run_of_many(code: Any, least: int, most: float, body: Part) -> Part:
    def run(text: str, at: int, groups: dict[int, Any], then: Then) -> Found:
        def more(times: int, here: int, held: dict[int, Any]) -> Found:
            if times >= most:
                return None
            return body(text, here, held, lambda end, now: loop(times + 1, end, now) if end > here else None)

        def loop(times: int, here: int, held: dict[int, Any]) -> Found:
            Counter.add()
            first, second = (more, None) if code is op.MAX_REPEAT else (None, more)
            if first and (found := first(times, here, held)) is not None:
                return found
            if times >= least and (found := then(here, held)) is not None:
                return found
            return second(times, here, held) if second else None

        return loop(0, at, groups)

    return run


class CountingMatch:
    """What is asked of a match in this package."""

    def __init__(self, pattern: "CountingPattern", text: str, at: int, found: tuple[int, dict[int, Any]]) -> None:
        self.re, self.string, (end, groups) = pattern, text, found
        self.lastindex = groups.get(0)
        self.spans = {**groups, 0: (at, end)}

    def _number(self, group: int | str) -> int:
        return self.re.real.groupindex[group] if isinstance(group, str) else group

    def span(self, group: int | str = 0) -> tuple[int, int]:
        return self.spans.get(self._number(group), (-1, -1))

    def start(self, group: int | str = 0) -> int:
        return self.span(group)[0]

    def end(self, group: int | str = 0) -> int:
        return self.span(group)[1]

    def __getitem__(self, group: int | str) -> str | None:
        start, end = self.span(group)
        return None if start < 0 else self.string[start:end]

    def group(self, *groups: int | str) -> Any:
        found = tuple(self[group] for group in groups or (0,))
        return found[0] if len(found) == 1 else found

    def groups(self, default: Any = None) -> tuple[Any, ...]:
        return tuple(default if self[n] is None else self[n] for n in range(1, self.re.real.groups + 1))

    @property
    def lastgroup(self) -> str | None:
        return next((name for name, number in self.re.real.groupindex.items() if number == self.lastindex), None)

    def expand(self, template: str) -> str:
        return re.sub(r"\\(.)", lambda each: self[int(each[1])] or "" if each[1].isdigit() else each[1], template)


class CountingPattern:
    """A compiled pattern that counts what it does."""

    def __init__(self, real: re.Pattern[str]) -> None:
        self.real, self.pattern, self.flags = real, real.pattern, real.flags
        self._run = _sequence(_parser.parse(real.pattern, real.flags & ~re.UNICODE), real.flags)

    def _at(self, text: str, at: int, whole: bool = False) -> CountingMatch | None:
        Counter.add()
        found = self._run(text, at, {}, lambda end, held: None if whole and end < len(text) else (end, held))
        return None if found is None else CountingMatch(self, text, at, found)

    def match(self, text: str, pos: int = 0, endpos: int | None = None) -> CountingMatch | None:
        return self._at(text if endpos is None else text[:endpos], pos)

    def fullmatch(self, text: str, pos: int = 0) -> CountingMatch | None:
        return self._at(text, pos, whole=True)

    def finditer(self, text: str, pos: int = 0, endpos: int | None = None) -> Iterator[CountingMatch]:
        text = text if endpos is None else text[:endpos]
        while pos <= len(text):
            found = self._at(text, pos)
            if found is not None:
                yield found
            pos = pos + 1 if found is None or found.end() == pos else found.end()

    def search(self, text: str, pos: int = 0, endpos: int | None = None) -> CountingMatch | None:
        return next(self.finditer(text, pos, endpos), None)

    def findall(self, text: str) -> list[Any]:
        several = self.real.groups > 1
        return [m.groups("") if several else m[self.real.groups] or "" for m in self.finditer(text)]

    def sub(self, new: Any, text: str) -> str:
        pieces, last = [], 0
        for found in self.finditer(text):
            said = new(found) if callable(new) else found.expand(new) if "\\" in new else new
            pieces += [text[last : found.start()], said]
            last = found.end()
        return CountingText("".join([*pieces, text[last:]]))

    def split(self, text: str, most: int = 0) -> list[str]:
        """Groups in the pattern are pieces, too."""
        found = list(self.finditer(text))[: most or None]
        pieces: list[Any] = []
        last = 0
        for each in found:
            pieces += [text[last : each.start()], *each.groups()]
            last = each.end()
        return [*pieces, text[last:]]


def counting(value: Any) -> Any:
    """The value with every compiled pattern in it replaced; the same object where there is none."""
    if isinstance(value, re.Pattern):
        return CountingPattern(value)
    if isinstance(value, tuple | list):
        inner = [counting(each) for each in value]
        return type(value)(inner) if any(a is not b for a, b in zip(inner, value, strict=True)) else value
    if isinstance(value, dict):
        inner_dict = {key: counting(each) for key, each in value.items()}
        return inner_dict if any(inner_dict[key] is not value[key] for key in value) else value
    return value
