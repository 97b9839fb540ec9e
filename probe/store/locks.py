"""Who is writing this digest? One advisory lock (flock) per digest, released by the kernel when its holder dies."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)


@contextlib.contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file while inside. Yields False, at once, where another holds it and `wait` is false."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = _acquire(path, wait)
    try:
        yield fd is not None
    finally:
        if fd is not None:
            path.unlink(missing_ok=True)  # while still held: a waiter sees that its file is no longer the one
            os.close(fd)


def _acquire(path: Path, wait: bool) -> int | None:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _flock(fd, path, wait):
                os.close(fd)
                return None
        except BaseException:
            os.close(fd)
            raise
        if _is_current(fd, path):
            return fd
        os.close(fd)


def _flock(fd: int, path: Path, wait: bool) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if wait:
            log.info("waiting for another process that is making %s", path.stem)
            fcntl.flock(fd, fcntl.LOCK_EX)
        return wait
    return True


def _is_current(fd: int, path: Path) -> bool:
    """Whether the locked file is still the one at `path`: the last holder may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
