"""What does a job cost where it is made, beside its own work? Jobs that do nothing, on every place there is.

    python benchmarks/grid_overhead.py [--on NAME ...] [--jobs N ...] [--workers N] [--json FILE]

A job writes four bytes and needs no other. `seconds_a_job` is the wall of the whole command over its jobs, the start
of the place included; `one_more` what a job costs once the place is there: between the smallest and the largest number
of jobs. `here` is this process alone. Each place has a store of its own in a temporary folder.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe.engine.executor import Executor, in_this_process, make
from probe.engine.grid.choose import place_named
from probe.engine.grid.source import Source
from probe.engine.job import Job
from probe.engine.pool import Pool
from probe.store import Recipe, Store, write_atomic

PLACES = ("here", "pool", "submitit-local", "ray")


@dataclass(frozen=True)
class Nothing(Job):
    """Four bytes."""

    number: int

    @property
    def recipe(self) -> Recipe:
        return Recipe("nothing", 1, {"number": self.number})

    @property
    def label(self) -> str:
        return f"nothing {self.number}"

    def make(self, store: Store, work: Path) -> None:
        write_atomic(work / "data", b"done")


def nothings(n: str) -> list[Job]:
    """The jobs: workers find them by the name of this function."""
    return [Nothing(i) for i in range(int(n))]


def place(name: str, n: int, workers: int) -> Executor:
    """Where they are made."""
    if name in ("here", "pool"):
        return in_this_process if name == "here" else Pool(workers)
    found = place_named(name, Source("grid_overhead:nothings", (str(n),)), workers=workers)
    assert found is not None
    return found


def measure(name: str, counts: list[int], workers: int) -> dict[str, Any]:
    """Wall seconds of the whole, by the number of jobs."""
    found = []
    for n in counts:
        with tempfile.TemporaryDirectory() as folder:
            store, start = Store(folder), time.perf_counter()
            make(in_jobs(n), store, executor=place(name, n, workers))
            found.append(time.perf_counter() - start)
            assert len(store.artifacts()) == n
    more = (found[-1] - found[0]) / (counts[-1] - counts[0]) if len(counts) > 1 else None
    each = [round(wall / n, 4) for wall, n in zip(found, counts, strict=True)]
    walls = [round(wall, 3) for wall in found]
    return {"jobs": counts, "wall": walls, "seconds_a_job": each, "one_more": more and round(more, 4)}


def in_jobs(n: int) -> list[Job]:
    """The jobs of the module that workers import, not of this script."""
    import grid_overhead

    return grid_overhead.nothings(str(n))


def main() -> None:
    """A line a place, as it ends; with --json keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", nargs="+", choices=PLACES, default=list(PLACES[:3]))
    parser.add_argument("--jobs", nargs="+", type=int, default=[10, 100])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    here = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *(path for path in sys.path if path)])
    results = {}
    measure("here", [1], 1)  # what this process imports
    for name in args.on:
        results[name] = found = measure(name, sorted(args.jobs), args.workers)
        told = ", ".join(f"{n} jobs {wall:.2f} s" for n, wall in zip(found["jobs"], found["wall"], strict=True))
        print(f"{name}: {told}; one more job {found['one_more']} s", flush=True)
    if args.json:
        machine = {"cpus": os.cpu_count(), "workers": args.workers}
        args.json.write_text(json.dumps({"machine": machine} | results, indent=1) + "\n")


if __name__ == "__main__":
    main()
