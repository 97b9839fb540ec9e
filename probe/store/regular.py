"""Is this a file that can be read to its end? Asked of every path from outside, before it is opened.

A FIFO blocks whoever opens it, a device never ends, a folder is no file, and a file may be larger than what its reader
is made for. Links are followed. Some files of /proc say that they are empty and never end: `read_regular` stops there.
"""

import os
import stat
from pathlib import Path

from probe.errors import BadInput

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def regular(path: str | Path, limit_bytes: int) -> Path:
    """The path, once it leads to a regular file of at most `limit_bytes`. BadInput for anything else."""
    path = Path(path)
    found = _stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise BadInput(f"this is {kind(found.st_mode)}, no file", where=str(path), do="give the path of a file")
    _check_size(path, found.st_size, limit_bytes)
    return path


def read_regular(path: str | Path, limit_bytes: int) -> bytes:
    """The bytes of such a file. BadInput also where it gives more than `limit_bytes`, whatever size it claims."""
    path = regular(path, limit_bytes)
    try:
        # O_NONBLOCK: should it have become a pipe meanwhile, opening it still returns
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            data = file.read(limit_bytes + 1)
    except OSError as err:
        raise BadInput(f"cannot be read: {err.strerror}", where=str(path), do="look at its permissions") from err
    _check_size(path, len(data), limit_bytes)
    return data


def kind(mode: int) -> str:
    """What a path leads to, from the mode of `os.stat`, in words."""
    return next((words for is_it, words in _KINDS if is_it(mode)), "something special")


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError as err:
        raise BadInput("no such file", where=str(path), do="give the path of a file") from err
    except (OSError, ValueError) as err:  # a loop of links, a name that is too long, a null in it
        what = err.strerror if isinstance(err, OSError) else err
        raise BadInput(f"cannot be looked at: {what}", where=str(path), do="give the path of a file") from err


def _check_size(path: Path, size: int, limit: int) -> None:
    if size > limit:
        what = f"larger than the {limit:,} bytes that are taken here"
        raise BadInput(what, where=str(path), do="give a smaller file, or split it")
