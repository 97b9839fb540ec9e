"""A plug-in with a study of two jobs that measure nothing, quickly: for commands that run in a process of their own."""

from dataclasses import dataclass
from pathlib import Path

from probe.engine.job import Job
from probe.measurements import to_table
from probe.store import Recipe, Store, write_table
from probe.studies import studies


@dataclass(frozen=True)
class Nothing(Job):
    """A table of no rows."""

    name: str

    @property
    def recipe(self) -> Recipe:
        return Recipe("nothing", 1, {"name": self.name})

    def make(self, store: Store, work: Path) -> None:
        write_table(work / "data.parquet", to_table([]))


@studies.register("quick", order=5, in_all=False, apart=True)
def quick() -> list[Job]:
    """Nothing, twice."""
    return [Nothing("a"), Nothing("b")]
