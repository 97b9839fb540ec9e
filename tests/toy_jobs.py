"""Jobs that take milliseconds, for tests of what orders, runs and resumes jobs. Worker processes import this module."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from probe.engine.job import Job
from probe.engine.listener import report
from probe.errors import BadInput
from probe.store import Recipe, Store, write_atomic

MENDED = "mended"  # a file of this name in the store lets failing jobs succeed, and none is slow
FILE = "data.txt"
STARTED = "started"  # one letter each time a job is started, in a file of the store
MAKER = "scratch/maker"  # the process id of the runner whose worker is at it


@dataclass(frozen=True)
class Toy(Job):
    """Writes its name and what it was made from. `fails`: "", "clearly", "obscurely", "fatally", "twice" (by kills)."""

    name: str
    needs: tuple["Toy", ...] = ()
    pause: float = 0.0
    fails: str = ""

    @property
    def recipe(self) -> Recipe:
        return Recipe("toy", 1, {"name": self.name}, tuple(need.recipe.digest for need in self.needs))

    @property
    def label(self) -> str:
        return f"toy {self.name}"

    def make(self, store: Store, work: Path) -> None:
        with (store.root / f"{STARTED}-{self.name}").open("a") as file:
            file.write("x")
        if self.fails and not (store.root / MENDED).exists() and (self.fails != "twice" or starts(store, self) < 3):
            fail(self.fails)
        parts = [store.get(need.recipe).file(FILE).read_text() for need in self.needs]
        write_atomic(work / MAKER, str(os.getppid()).encode())
        time.sleep(0 if (store.root / MENDED).exists() else self.pause)
        write_atomic(work / FILE, f"{self.name}({','.join(parts)})".encode())


@dataclass(frozen=True)
class Large(Toy):
    """Must be made in the calling process; writes which one that was, and tells how far it is."""

    @property
    def in_process(self) -> bool:
        return True

    def make(self, store: Store, work: Path) -> None:
        report(1, 2, "halves")
        write_atomic(work / FILE, str(os.getpid()).encode())
        report(2, 2, "halves")


def starts(store: Store, job: Toy) -> int:
    """How often the job was started."""
    return len((store.root / f"{STARTED}-{job.name}").read_text())


def fail(how: str) -> None:
    if how == "clearly":
        raise BadInput("no such thing", where="here", do="look there")
    if how == "obscurely":
        raise ValueError("a strange value")
    os.kill(os.getpid(), signal.SIGKILL)


def diamond(pause: float = 0.0, fails: str = "") -> Toy:
    """base -> left, right -> top"""
    base = Toy("base", pause=pause)
    return Toy("top", (Toy("left", (base,), pause), Toy("right", (base,), pause, fails)), pause)


def line(pause: float = 0.0) -> tuple[Toy, ...]:
    """a, b -> c (slow); c, d -> e"""
    first, second, other = Toy("a"), Toy("b"), Toy("d")
    slow = Toy("c", (first, second), pause)
    return first, second, slow, other, Toy("e", (slow, other))


TOYS = {
    "diamond": diamond(),
    "clearly": diamond(fails="clearly"),
    "obscurely": Toy("strange", fails="obscurely"),
    "fatally": diamond(fails="fatally"),
    "slow": Toy("top", (Toy("first"), Toy("slow", pause=60.0))),
    "twice": Toy("top", (Toy("hurt", fails="twice"), Toy("other"))),
}


def toys(name: str) -> list[Toy]:
    """Those of that name: a worker on another machine finds them by it."""
    return [TOYS[name]]
