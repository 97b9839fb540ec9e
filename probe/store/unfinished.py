"""Is what an earlier process left of unfinished work still what it wrote? A digest beside each file of it.

    name             the file
    .name.sha256     a line "<sha256> <bytes>" for each of its last states, written before the file is: a kill between
                     the two leaves a file that matches the state before. A log, which grows, has one line,
                     "<sha256> <bytes> +": what stands behind its first <bytes> bytes was never vouched for.

What does not match is set aside (renamed, never read, and said), and made again by whoever asked for it. Left out: what
flips while a process that has read it still runs.
"""

import contextlib
import functools
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from probe.errors import BadInput
from probe.store.files import (
    DIGESTS,
    SPOILT,
    digest_once,
    file_digest,
    sync,
    write_atomic,
    write_file,
    write_table,
    writes_told_to,
)
from probe.store.regular import read_regular

log = logging.getLogger(__name__)
STATES, GROWS, STATE_BYTES = 3, "+", 4096


def keep(path: Path, data: bytes) -> str:
    """Write the file atomically with its digest beside it; returns the sha256."""
    digest = hashlib.sha256(data).hexdigest()
    _add_state(path, f"{digest} {len(data)}")
    with writes_told_to(_nobody):
        write_atomic(path, data)
    return digest


def keep_table(path: Path, table: pa.Table) -> None:
    """`write_table`, with the digest beside it."""
    with vouched(path):
        write_table(path, table)


def keep_file(path: Path, write: Callable[[Path], object]) -> None:
    """`write` makes the file, atomically, with the digest beside it: for what is too large for the memory."""
    with vouched(path):
        write_file(path, write)


def keep_log(path: Path, size: int | None = None) -> None:
    """Vouch for the first `size` bytes [all] of a file that grows, and cut off what stands behind them."""
    sync(path)
    held = path.stat().st_size
    size = held if size is None else size
    with writes_told_to(_nobody):
        write_atomic(_beside(path), f"{_prefix_digest(path, size)} {size} {GROWS}".encode())
    if held > size:
        os.truncate(path, size)


def is_kept(path: Path) -> bool:
    """Whether the file is there and is what was last written; one that is not is set aside. A log is cut."""
    if not os.path.lexists(path) or not has_digest(path):
        return False
    if not path.is_symlink() and path.is_file() and any(_holds(path, state) for state in _states(path)):
        return True
    set_aside(path, "it is not what was written")
    return False


def has_digest(path: Path) -> bool:
    """Whether somebody ever vouched for the file."""
    return _beside(path).exists()


def set_aside(path: Path, why: str) -> None:
    """Rename the file, if it is there, so that it is kept and never read; and say so."""
    if os.path.lexists(path):
        count = 0
        while os.path.lexists(place := path.with_name(f".{path.name}.{count}.damaged")):
            count += 1
        path.rename(place)
        log.warning("unfinished work: %s: %s\n  set aside as %s and made again", path, why, place.name)
    _beside(path).unlink(missing_ok=True)


def forget(path: Path) -> None:
    """Remove a file that is to be made anew, and its digest."""
    path.unlink(missing_ok=True)
    _beside(path).unlink(missing_ok=True)


@contextlib.contextmanager
def vouched(work: Path) -> Iterator[None]:
    """Within it, every atomic write below `work` leaves a digest beside its file."""
    with writes_told_to(functools.partial(_note, work)):
        yield


def sweep(work: Path) -> None:
    """Leave in the work of a killed process only what is vouched for, and whole."""
    for path in [*work.rglob(DIGESTS)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
    for path in sorted(work.rglob("*"), reverse=True):  # what a folder holds before the folder
        if path.match(DIGESTS) or path.match(SPOILT):
            continue
        if has_digest(path):
            is_kept(path)
        elif path.is_symlink() or not path.is_dir():  # half of something, or not ours
            path.unlink(missing_ok=True)
        elif not any(path.iterdir()):
            path.rmdir()


def _nobody(written: Path, path: Path) -> None:
    """Hears of a write whose digest is taken already."""


def _note(work: Path, written: Path, path: Path) -> None:
    if path.is_relative_to(work):
        _add_state(path, f"{file_digest(written)} {written.stat().st_size}")


def _add_state(path: Path, state: str) -> None:
    before = [each for each in _states(path) if each != state and not each.endswith(GROWS)]
    with writes_told_to(_nobody):
        write_atomic(_beside(path), "\n".join([*before[1 - STATES :], state]).encode())


def _states(path: Path) -> list[str]:
    try:
        return read_regular(_beside(path), STATE_BYTES).decode("ascii").splitlines()
    except (BadInput, ValueError):
        return []


def _holds(path: Path, state: str) -> bool:
    """Whether the file is in that state; a log is cut to what it vouches for."""
    digest, _, rest = state.partition(" ")
    size, _, grows = rest.partition(" ")
    if not size.isascii() or not size.isdigit() or len(size) > 18 or grows not in ("", GROWS):
        return False
    held = path.stat().st_size
    if not grows:
        return held == int(size) and digest_once(path) == digest
    if held < int(size) or _prefix_digest(path, int(size)) != digest:
        return False
    if held > int(size):
        os.truncate(path, int(size))
    return True


def _prefix_digest(path: Path, size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(size)).hexdigest()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.sha256")
