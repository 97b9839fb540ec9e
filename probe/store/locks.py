"""Who is writing this digest? One advisory lock (flock) per digest, released by the kernel when its holder dies."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)


@contextlib.contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file while inside. Yields False, at once, where another holds it and `wait` is false."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, fallback_to_soft=False)  # a soft lock would outlive a killed holder
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if not wait:
            yield False
            return
        log.info("waiting for another process that is making %s", path.stem)
        lock.acquire()
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)  # while still held: a waiter that gets the removed file looks again
        lock.release()
