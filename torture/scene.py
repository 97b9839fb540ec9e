"""One case: a folder of its own, addressed randomness, the commands it runs, and what was wrong with them.

A class of cases is a function of a scene, registered with the kind of what it counts:

    @case("input", "csv")
    def csv(scene): ...
"""

import hashlib
import os
import random
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torture import place
from torture.verdict import DIFFER, LOST, Fault, Ran, judge
from torture.watch import PLAIN, Call, How, run, words_of

Kind = Literal["kill", "damage", "input"]
Play = Callable[["Scene"], None]
CLASSES: dict[str, "CaseClass"] = {}


@dataclass(frozen=True)
class CaseClass:
    """What cases of a class count as, how often they are drawn, and what plays one."""

    kind: Kind
    play: Play
    weight: int = 1


def case(kind: Kind, name: str, weight: int = 1) -> Callable[[Play], Play]:
    """Register a class of cases."""

    def register(play: Play) -> Play:
        CLASSES[name] = CaseClass(kind, play, weight)
        return play

    return register


@dataclass
class Scene:
    """A case while it is played."""

    name: str  # CLASS:SEED
    folder: Path
    place: Path
    faults: list[Fault] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.name)

    def bring(self, *names: str) -> None:
        """Copies of parts of the place."""
        place.bring(self.place, self.folder, *names)

    def count(self, what: str) -> None:
        """One more of something: kill, damage, input."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def fault(self, kind: str, detail: str) -> None:
        """Something that must not happen."""
        self.faults.append(Fault(kind, detail))

    def call(self, call: Call, name: str, how: How = PLAIN) -> Ran:
        """Run something in the case's folder; nothing is judged."""
        self.ran.append(run(call, name, self.folder, how))
        return self.ran[-1]

    def probe(self, *words: object, how: How = PLAIN) -> Ran:
        """Run `probe WORDS`; nothing is judged."""
        return self.call(words_of(words), " ".join(map(str, words)), how)

    def check(
        self, *words: object, bad: bool | None, how: How = PLAIN, planted: str = "", may_change: tuple[str, ...] = ()
    ) -> Ran:
        """Run and judge one bad input (or a good one, `bad=False`). What stood there must stand there afterwards.

        `may_change`: names that the command was told to write. They, too, stay as they were where it refuses.
        """
        self.count("control" if bad is False else "input")
        before = standing(self.folder)
        ran = self.probe(*words, how=how)
        self.faults += judge(ran, bad, planted)
        after = standing(self.folder)
        spared = set(may_change) if ran.code == 0 else set()
        for name in sorted(set(before) - spared):
            if "leases" in Path(name).parts:  # what a running process reads: they go with it
                continue
            if after.get(name) != before[name]:
                self.fault(LOST, f"{name} was {before[name][:60]}, is {after.get(name, 'gone')[:60]}")
        return ran

    def compare(self, wanted: dict[str, str], found: dict[str, str], kind: str = DIFFER) -> bool:
        """Whether two listings are the same; a fault of `kind` where they are not."""
        differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        if differing:
            first = differing[0]
            what = f"{first}: {wanted.get(first, 'not wanted')[:60]} became {found.get(first, 'gone')[:60]}"
            self.fault(kind, f"{len(differing)} files differ, {what}")
        return not differing


OWN = ("store", "figures", ".probe", "sampled")  # folders that commands write into by right


def standing(folder: Path) -> dict[str, str]:
    """What stands in a case's folder, by name: content of files, targets of links, kind of everything else."""
    return dict(_standing(folder, folder))


def _standing(folder: Path, root: Path) -> Iterator[tuple[str, str]]:
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        path, mode = Path(entry.path), entry.stat(follow_symlinks=False).st_mode
        name = os.fsencode(path.relative_to(root)).decode("utf-8", "backslashreplace")
        if entry.is_dir(follow_symlinks=False):
            if name not in OWN:
                yield name, "folder"
                yield from _standing(path, root)
        elif stat.S_ISREG(mode):
            yield name, digest(path)
        else:
            yield name, f"link to {os.readlink(path)}" if stat.S_ISLNK(mode) else f"special {stat.S_IFMT(mode):o}"


def digest(path: Path) -> str:
    """sha256 and size of a regular file."""
    data = path.read_bytes()
    return f"{hashlib.sha256(data).hexdigest()} {len(data)}"
