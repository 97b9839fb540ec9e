"""Which studies are there? Declarations only: which checkpoints, rewards and seeds, and what is measured on each.

    @studies.register("tiny", order=20)
    def tiny() -> list[Job]: ...

A study lists the measurements it wants, in the order in which they should start; everything they need follows. With its
name it says what `Study` holds of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from probe.errors import BadInput
from probe.registry import Registry

if TYPE_CHECKING:
    from probe.engine.job import Job

studies: "Registry[Callable[..., list[Job]]]" = Registry("study", "probe.studies")


@dataclass(frozen=True)
class Study:
    """A registered study: what it wants, and how it stands among the others.

    order      when it runs among all: what can be looked at first comes first
    in_all     whether it is part of `probe run all`
    apart      whether its figures are drawn from its own rows alone
    figures    which figures it draws, where it is apart; empty: every one that its rows allow
    dataset    published data it reads, which may lie in the store: it is told the store's folder
    """

    name: str
    make: "Callable[..., list[Job]]"
    order: int = 100
    in_all: bool = True
    apart: bool = False
    figures: tuple[str, ...] = ()
    dataset: str | None = None

    def jobs(self, store: Path | None = None) -> "list[Job]":
        """The measurements it wants, in the order in which they should start."""
        return self.make(store) if self.dataset else self.make()


def study(name: str) -> Study:
    """The study of that name. BadInput with the nearest names, or where its file says what no study has."""
    make = studies.get(name)
    try:
        return Study(name, make, **studies.about(name))
    except TypeError as err:
        raise BadInput(f"study {name!r}: {err}", do="register it with order, in_all, apart, figures, dataset") from err


def in_order() -> list[Study]:
    """Every study, in the order in which they run."""
    return sorted(map(study, studies.names()), key=lambda each: (each.order, each.name))


def jobs_named(*names: str) -> "list[Job]":
    """All measurements of these studies, in the store of $PROBE_STORE: how a worker on another machine finds them."""
    return [job for jobs in targets_of(names) for job in jobs]


def targets_of(names: Sequence[str], store: Path | None = None) -> "list[list[Job]]":
    """The measurements each study wants, in the order in which they should start."""
    return [study(name).jobs(store) for name in names]
