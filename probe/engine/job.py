"""What is a job? One artifact to be made, described before anything is made.

A job is a frozen description. Its recipe (and so its digest) follows from the description alone; `make` writes the
artifact's files from those of the jobs it needs. The engine orders, runs and resumes jobs and knows nothing else of
them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from probe.store import Recipe, Store


class Job:
    """One artifact to be made; subclasses are frozen dataclasses, so that they can be sent to another process."""

    TYPICAL: ClassVar[Mapping[str, float]] = {}  # seconds on one server core by size ("" for none), before any is made

    @property
    def recipe(self) -> "Recipe":
        """What the artifact is made of, and so its digest."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        """What is said of it while it is made."""
        return f"{self.recipe.stage} {self.recipe.digest[:12]}"

    @property
    def needs(self) -> "tuple[Job, ...]":
        """The jobs whose artifacts `make` reads."""
        return ()

    @property
    def in_process(self) -> bool:
        """Whether it must be made in the calling process, one at a time (weights that fill the memory)."""
        return False

    def make(self, store: "Store", work: Path) -> None:
        """Write the artifact's files into `work`; called again after a kill, with what was written before.

        Of that only what `write_atomic`, `write_table` and `keep` wrote is there, and whole (`probe.store.unfinished`).
        """
        raise NotImplementedError


def one_thread() -> None:
    """One torch thread a process: the pool uses the cores."""
    import torch  # what only reads texts never loads it

    torch.set_num_threads(1)
