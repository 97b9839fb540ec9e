"""Who hears how far it is? The engine tells a listener what is planned, what is done, and how far one job is.

A job that takes long says so through `report(done, of, unit)`; whoever makes it in this process decides who hears it.
Worker processes report to nobody.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probe.engine.job import Job
    from probe.engine.plan import Plan

OnPart = Callable[[int, int, str], None]


class Listener:
    """Hears everything and says nothing; displays override what they show."""

    def on_plan(self, plan: "Plan") -> None:
        """What is to be made."""

    def on_done(self, job: "Job") -> None:
        """One job is finished."""

    def on_part(self, done: int, of: int, unit: str) -> None:
        """How far the job being made in this process is."""


SILENT = Listener()
_hears: ContextVar[OnPart] = ContextVar("hears", default=SILENT.on_part)


def report(done: int, of: int, unit: str) -> None:
    """Say how far the current job is: `done` of `of` units, such as responses."""
    _hears.get()(done, of, unit)


@contextmanager
def heard_by(on_part: OnPart) -> Iterator[None]:
    """Within it, `report` reaches `on_part`."""
    token = _hears.set(on_part)
    try:
        yield
    finally:
        _hears.reset(token)
