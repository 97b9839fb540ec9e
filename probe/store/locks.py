"""Who is writing this digest? One advisory lock (flock) per digest, released by the kernel when its holder dies."""

import contextlib
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from probe.errors import BadInput

log = logging.getLogger(__name__)


@contextlib.contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file while inside. Yields False, at once, where another holds it and `wait` is false.

    BadInput where something else than a file of ours stands in its place, or in that of its folder.
    """
    _check_place(path)
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


def _check_place(path: Path) -> None:
    for place, is_right in ((path.parent, stat.S_ISDIR), (path, stat.S_ISREG)):
        with contextlib.suppress(FileNotFoundError):
            if not is_right(os.stat(place, follow_symlinks=place != path).st_mode):
                what = f"something stands where the lock {path.stem} should be"
                do = "look what it is and move it away, then run the same command again"
                raise BadInput(what, where=str(place), do=do)
