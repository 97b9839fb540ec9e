"""Play cases, two at a time, each in a process of its own, until there are enough or the time is over."""

import json
import os
import random
import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from torture import damages, inputs, kills, place, server  # noqa: F401 - importing registers the classes
from torture.report import Outcome, Report
from torture.scene import CLASSES, Kind, Scene
from torture.verdict import HARNESS, Fault
from torture.work import WORKS, in_peace

POOL = 2
RESERVE = 40.0  # seconds kept for the cases that are running at the end


@contextmanager
def prepared(root: Path, kinds: set[Kind]) -> Iterator[Path]:
    """The place, warm and complete; the works in peace where kills or damages need them."""
    place.quiet()
    place.warm()
    place.make_place(root / "place")
    with server.serving(root / "place"):
        for work in WORKS.values() if kinds - {"input"} else ():
            in_peace(work, root / "place")
        yield root / "place"


def draw(seed: int, wanted: dict[Kind, int]) -> "Drawing":
    """The cases of a campaign, in their order."""
    return Drawing(random.Random(f"campaign {seed}"), wanted)


@dataclass
class Drawing:
    """Which case is next: of the kind that is furthest behind, a class by its weight."""

    rng: random.Random
    wanted: dict[Kind, int]
    begun: dict[str, int] = field(default_factory=dict)

    def next(self, report: Report, running: int) -> str | None:
        """CLASS:SEED, or None where enough has been begun. What is running counts as one each, as does what is done."""
        share = {kind: max(report.total(kind), 0) / n for kind, n in self.wanted.items() if n}
        behind = {kind: done for kind, done in share.items() if done < 1}
        if not behind:
            return None
        least = min(behind, key=lambda kind: (self.begun.get(kind, 0) / self.wanted[kind], kind))
        least = least if running < POOL else min(behind, key=behind.__getitem__)
        self.begun[least] = self.begun.get(least, 0) + 1
        names = sorted(name for name, each in CLASSES.items() if each.kind == least)
        chosen = self.rng.choices(names, [CLASSES[name].weight for name in names])[0]
        return f"{chosen}:{self.rng.randrange(10**9)}"


def campaign(root: Path, seed: int, wanted: dict[Kind, int], minutes: float, place_at: Path) -> Report:
    """Play until there is enough of everything, or the minutes are over."""
    report, start = Report(seed, {kind: n for kind, n in wanted.items() if n}), time.monotonic()
    drawing, running = draw(seed, wanted), dict[int, tuple[str, Path, float]]()
    until = start + 60 * minutes - RESERVE
    while True:
        while len(running) < POOL and time.monotonic() < until and (name := drawing.next(report, len(running))):
            folder = root / "cases" / name.replace(":", "-")
            running[begin(name, folder, place_at)] = (name, folder, time.monotonic())
        if not running:
            break
        pid, status = os.wait()
        if pid in running:
            name, folder, began = running.pop(pid)
            report.outcomes.append(outcome(name, folder, status, time.monotonic() - began))
            shutil.rmtree(folder, ignore_errors=True)
    report.seconds = time.monotonic() - start
    return report


def begin(name: str, folder: Path, place_at: Path) -> int:
    """Play one case in a child; its pid."""
    (folder / "here").mkdir(parents=True)
    pid = os.fork()
    if pid:
        return pid
    try:
        scene = play(name, folder / "here", place_at)
        faults = [vars(fault) for fault in scene.faults]
        told = {"counts": scene.counts, "faults": faults, "words": [ran.words for ran in scene.ran]}
        (folder / "outcome.json").write_text(json.dumps(told))
    except BaseException:
        (folder / "failed.txt").write_text(traceback.format_exc())
    finally:
        os._exit(0)


def play(name: str, folder: Path, place_at: Path) -> Scene:
    """One case, from its name alone."""
    scene = Scene(name, folder, place_at)
    CLASSES[name.partition(":")[0]].play(scene)
    return scene


def outcome(name: str, folder: Path, status: int, seconds: float) -> Outcome:
    """What the child left."""
    try:
        told = json.loads((folder / "outcome.json").read_text())
    except OSError:
        failed = folder / "failed.txt"
        why = failed.read_text()[-800:] if failed.exists() else f"wait status {status}"
        return Outcome(name, {}, [Fault(HARNESS, why)], [], seconds)
    return Outcome(name, told["counts"], [Fault(**each) for each in told["faults"]], told["words"], seconds)
