"""What is a running process about to read? It says so in a file that it holds locked while it lives; `gc` leaves that.

    leases/<process>-<random>     digests, one a line; locked (flock), so that the kernel frees it when the process dies

A lease begins, and `gc` looks and moves an artifact away, under one lock: either `gc` sees the lease, or whoever takes
it finds the artifact gone and makes it again. A process's own leases do not bind its own `gc`.
"""

import atexit
import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from probe.store.locks import exclusive
from probe.store.recipe import is_digest

FOLDER = "leases"


class _Lease:
    """The one lease of this process on one store."""

    def __init__(self, root: Path) -> None:
        self.owner, self.digests = os.getpid(), set[str]()
        self.path = root / FOLDER / f"{self.owner}-{secrets.token_hex(4)}"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(self.path, fallback_to_soft=False)
        self.lock.acquire(blocking=False)
        atexit.register(self.end)

    def add(self, digests: set[str]) -> None:
        with open(self.path, "a", encoding="ascii") as file:
            file.writelines(f"{digest}\n" for digest in sorted(digests))
        self.digests |= digests

    def end(self) -> None:
        if self.owner == os.getpid():  # a fork inherits it, and must not end it
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
            self.lock.release()


_mine: dict[tuple[Path, int], _Lease] = {}


def lease(root: Path, digests: Iterable[str]) -> bool:
    """Keep these artifacts from the `gc` of others until this process ends; whether any was not kept before.

    A store that cannot be written, or locked, can still be read: then there is no lease.
    """
    mine = _mine.get((root, os.getpid()))
    wanted = set(digests) - (mine.digests if mine and mine.path.exists() else set())
    if not wanted:
        return False
    with contextlib.suppress(OSError, NotImplementedError), alone(root):
        if mine is None or not mine.path.exists():
            held = mine.digests if mine else set()
            mine = _mine[root, os.getpid()] = _Lease(root)
            wanted |= held
            _alive(root)
        mine.add(wanted)
    return True


def leased(root: Path) -> set[str]:
    """The digests that other living processes hold leases on."""
    texts = (path.read_text(encoding="ascii", errors="replace") for path in _alive(root))
    return {line for text in texts for line in text.splitlines() if is_digest(line)}


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Within it, no lease begins and none is looked at."""
    with exclusive(root / "locks" / f"{FOLDER}.lock"):
        yield


def _alive(root: Path) -> list[Path]:
    """The lease files of other processes that live; those of dead ones are removed."""
    mine = _mine.get((root, os.getpid()))
    living = []
    for path in sorted((root / FOLDER).glob("*-*")):
        if mine is not None and path == mine.path:
            continue
        try:
            with FileLock(path, blocking=False, fallback_to_soft=False):
                path.unlink(missing_ok=True)
        except Timeout:
            living.append(path)
    return living
