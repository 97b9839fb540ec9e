"""A page for every pair of a study: which are still as they would be written now, and how are the others made?

    wanted    the pairs, each with what its page is made from, or why there can be none
    write     some at a time: their artifacts, then their pages, which lie in OUT/pairs

What fails is told of its own pair alone. A page that is there and was made from the same is left as it is, so a killed
command goes on.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from probe.engine.executor import make
from probe.engine.job import Job
from probe.engine.listener import SILENT, Listener
from probe.engine.plan import plan
from probe.errors import BadInput
from probe.pages import glance
from probe.pages.pair_page import PairPage
from probe.pages.study_pairs import Measured
from probe.store import Store

PAIRS = "pairs"  # the folder of the pages
AT_ONCE = 8  # pairs that are made before their pages are written: a pool of processes for each few


@dataclass(frozen=True)
class Wanted:
    """One pair, and its page, or the reason why there is none."""

    measured: Measured
    page: PairPage | None = None
    reason: str = ""
    command: str = ""  # that makes it

    def line(self, out: Path) -> dict[str, Any]:
        """Of the index: what the pair is, and what its page says, where it is there."""
        found = glance.read(out / PAIRS / self.measured.folder)
        shown = found.model_dump(exclude={"made_from"}) if found else None
        href = glance.link(self.measured.folder) if found else None
        return self.measured.about | {"href": href, "glance": shown, "reason": self.reason, "command": self.command}


class Pages:
    """The pages of a study below a folder; `wanted` says of each how far it is."""

    def __init__(self, wanted: Sequence[Wanted], store: Store, out: Path, *, only_held: bool = False) -> None:
        """Nothing is made of what the store does not hold where `only_held`."""
        self.wanted, self.store, self.out, self.only_held = list(wanted), store, out, only_held
        self.stale = [place for place in range(len(wanted)) if self._is_stale(place)]

    @property
    def jobs(self) -> list[Job]:
        """What the pages that are not there yet are made from."""
        return self._jobs(self.stale)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Of the index."""
        return [each.line(self.out) for each in self.wanted]

    def write(self, workers: int | None, listener: Listener = SILENT) -> Iterator[int]:
        """Make what some need, write their pages and say how many are done; then the next."""
        if not self.only_held:
            listener.on_plan(plan(self.jobs, self.store))
        heard = _Stage(listener)
        for start in range(0, len(self.stale), AT_ONCE):
            some = self.stale[start : start + AT_ONCE]
            if not self.only_held:
                self._make(some, workers, heard)
            for place in some:
                self._try(place, lambda place=place: self._write(place))  # type: ignore[misc]
            yield start + len(some)

    def _make(self, some: Sequence[int], workers: int | None, heard: Listener) -> None:
        """Together, in one pool of processes; where that fails, one by one, to know of which."""
        try:
            make(self._jobs(some), self.store, workers=workers, listener=heard)
        except BadInput:
            for place in some:
                jobs = self._jobs([place])
                self._try(place, lambda jobs=jobs: make(jobs, self.store, workers=workers, listener=heard))  # type: ignore[misc]

    def _try(self, place: int, act: Callable[[], object]) -> None:
        """Do that of a pair that has not failed yet; a BadInput is of its page alone."""
        if self.wanted[place].page is None:
            return
        try:
            act()
        except BadInput as err:
            self.wanted[place] = replace(self.wanted[place], page=None, reason=told(err))

    def _write(self, place: int) -> None:
        page, folder = self._page(place), self._folder(place)
        if not folder.resolve().is_relative_to(self.out.resolve()):
            raise BadInput("this leads out of the folder of the report", where=str(folder), do="remove the link")
        made = page.page(self.store)
        made.write(folder)
        glance.write(glance.glance_of(made.data, self._mark(page)), folder)

    def _is_stale(self, place: int) -> bool:
        """Whether a page is wanted and is not there as it would be written now."""
        if self.wanted[place].page is None:
            return False
        found = glance.read(self._folder(place))
        return found is None or found.made_from != self._mark(self._page(place))

    def _mark(self, page: PairPage) -> str:
        return glance.mark(page.jobs, page.most, page.responses, page.missing, page.study, page.commands)

    def _page(self, place: int) -> PairPage:
        page = self.wanted[place].page
        assert page is not None
        return page

    def _folder(self, place: int) -> Path:
        return self.out / PAIRS / self.wanted[place].measured.folder

    def _jobs(self, places: Sequence[int]) -> list[Job]:
        return [job for place in places for job in self._page(place).jobs]


class _Stage(Listener):
    """Hears what is done in one stage; the plan of everything was told before."""

    def __init__(self, listener: Listener) -> None:
        self.on_done = listener.on_done  # type: ignore[method-assign]
        self.on_part = listener.on_part  # type: ignore[method-assign]


def told(error: BadInput) -> str:
    """Why there is no page, on one line; where it was on this machine is not for whoever reads the index."""
    return f"{error.what}: {error.do}" if error.do else error.what
