"""How does text reach a terminal? Without control characters, and in letters that the terminal has.

The one place where text goes out: `Terminal` is the console of every message, table and bar, `guarded` stands before
stdout and stderr for what libraries print (warnings, logs, usage errors). Control characters, escape sequences, marks
that turn the direction of writing and halves of surrogate pairs become U+FFFD; what the terminal's encoding lacks
becomes "?". Rich's own codes for colour and for the bar's cursor are no text, and pass. Left out: what C code writes
to a file descriptor.
"""

import logging
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """The text with U+FFFD for what is neither printable nor a space or the end of a line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _other(char) for char in text)


def _other(char: str) -> str:
    return " " if char == "\t" or unicodedata.category(char) == "Zs" else UNKNOWN


def spelled(text: str, encoding: str) -> str:
    """The text with "?" for what the encoding lacks."""
    return text if text.isascii() else text.encode(encoding, "replace").decode(encoding)


class Terminal(Console):
    """A console (rich wants a subclass): whatever is drawn on it, text passes here."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a thing, their texts clean."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(spelled(printable(segment.text), self.encoding), segment.style)


class _Guard:
    """Stands before a text stream. Rich looks for `rich_proxied_file`, and writes there what `Terminal` has cleaned."""

    encoding, errors = "utf-8", "replace"  # of what may be written to it: all text

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        """Write the text clean. A bar of tqdm starts its line anew: that one return is left to it on a terminal."""
        stream = self.rich_proxied_file
        again = "\r" if text.startswith("\r") and stream.isatty() else ""
        body = text.removeprefix("\r") if text.startswith("\r") else text
        stream.write(again + spelled(printable(body), getattr(stream, "encoding", None) or "utf-8"))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


def guard() -> None:
    """Let stdout and stderr of this process take clean text only, from now on; loggers set up before as well."""
    before = [sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__]
    sys.stdout, sys.stderr = _guarded(sys.stdout), _guarded(sys.stderr)
    for handler in [handler for logger in _loggers() for handler in logger.handlers]:
        if isinstance(handler, logging.StreamHandler) and any(handler.stream is each for each in before):
            handler.setStream(_guarded(handler.stream))


def _loggers() -> list[logging.Logger]:
    named = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    return [logging.root, *named]


@contextmanager
def guarded() -> Iterator[None]:
    """The same for a while."""
    before = sys.stdout, sys.stderr
    guard()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _guarded(stream: Any) -> Any:
    return stream if stream is None or isinstance(stream, _Guard) else _Guard(stream)
