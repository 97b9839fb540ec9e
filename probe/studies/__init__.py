"""Which studies are there? Declarations only: which checkpoints, rewards and seeds, and what is measured on each.

    @studies.register("tiny")
    def tiny() -> list[Job]: ...

A study lists the measurements it wants, in the order in which they should start; everything they need follows.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from probe.registry import Registry

if TYPE_CHECKING:
    from probe.engine.job import Job

studies: "Registry[Callable[..., list[Job]]]" = Registry("study", "probe.studies")
OF_FILES = ("real",)  # reads published data, which may lie in the store: it is told the store's folder


def targets_of(names: Sequence[str], store: Path | None = None) -> "list[list[Job]]":
    """The measurements each study wants, in the order in which they should start."""
    return [studies.get(name)(store) if name in OF_FILES else studies.get(name)() for name in names]
