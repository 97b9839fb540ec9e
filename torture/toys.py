"""Jobs of a fraction of a second, for kills of the processes that make them. Worker processes import this module."""

import time
from dataclasses import dataclass
from pathlib import Path

from probe.engine.job import Job
from probe.store import Recipe, Store, write_atomic

PAUSE = 0.15  # seconds a job
FILE = "data.txt"


@dataclass(frozen=True)
class Toy(Job):
    """Writes its name and what it was made from."""

    name: str
    needs: tuple["Toy", ...] = ()

    @property
    def recipe(self) -> Recipe:
        return Recipe("toy", 1, {"name": self.name}, tuple(need.recipe.digest for need in self.needs))

    def make(self, store: Store, work: Path) -> None:
        parts = [store.get(need.recipe).file(FILE).read_text() for need in self.needs]
        time.sleep(PAUSE)
        write_atomic(work / FILE, f"{self.name}({','.join(parts)})".encode())


def diamond() -> Toy:
    """base -> six in the middle -> top"""
    base = Toy("base")
    return Toy("top", tuple(Toy(f"middle {i}", (base,)) for i in range(6)))
