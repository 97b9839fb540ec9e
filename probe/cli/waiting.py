"""How far is work that is no job of the engine? A bar with the time left, or a line now and then without a terminal."""

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from probe.cli.show import messages, say
from probe.engine.progress import EVERY, duration

T = TypeVar("T")


def worked_off(items: Sequence[T], size: int, unit: str) -> Iterator[Sequence[T]]:
    """The items in parts of `size`; each part counts as done when the next one is asked for."""
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    console, started = messages(), time.monotonic()
    columns = (TextColumn(unit), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task, done, said = bar.add_task("", total=len(items)), 0, started
        for part in parts:
            yield part
            done += len(part)
            bar.update(task, completed=done)
            now = time.monotonic()
            if not console.is_terminal and now - said >= EVERY and done < len(items):
                left = duration((now - started) / done * (len(items) - done))
                say(f"{done} of {len(items)} {unit}, about {left} left")
                said = now
