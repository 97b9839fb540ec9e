"""How does a file get onto the disk whole or not at all, and what is said when the disk is full?

write to a hidden temporary file beside the target -> fsync -> rename over the target -> fsync the folder.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from probe.errors import BadInput, ProbeError

UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# safetensors and torch report a full disk in words only, and through exceptions that are no OSError
FULL_WORDS = ("No space left on device", "os error 28", "Disk quota exceeded", "os error 122", "os error 27")
TEMPORARY = ".*.tmp"  # glob of what a kill during a write leaves behind
DIGESTS, SPOILT = ".*.sha256", ".*.damaged"  # globs of what stands beside unfinished work (`unfinished`)
OnWrite = Callable[[Path, Path], None]  # the whole new content, and where it is about to be put


class DiskFull(ProbeError):
    """There was no room to write. Whatever was complete before is still there."""


def is_full(err: BaseException) -> bool:
    """Whether an exception, of any library, means that the disk or a quota is full."""
    return (isinstance(err, OSError) and err.errno in FULL) or any(words in str(err) for words in FULL_WORDS)


@contextlib.contextmanager
def disk_errors(folder: Path, advice: Callable[[], str] = str) -> Iterator[None]:
    """Turn "no space left" from anything inside into a DiskFull that names `folder` and says what can be freed.

    A folder that may not be written is BadInput; every other exception passes.
    """
    try:
        yield
    except Exception as err:
        if isinstance(err, DiskFull) or is_full(err):
            do = "free some space there and run the same command again: it goes on from what is finished" + advice()
            where = err.where if isinstance(err, DiskFull) else str(err)
            raise DiskFull(f"no space left in {folder} ({_free(folder)} free)", where=where, do=do) from err
        if isinstance(err, OSError) and err.errno in UNWRITABLE and str(err.filename).startswith(str(folder)):
            do = "change its permissions or name another folder"
            raise BadInput(f"cannot write in {folder}", where=str(err), do=do) from err
        raise


def write_atomic(path: Path, data: bytes) -> None:
    """Replace the file with `data`: a reader, a kill or a full disk sees the old file or the new one, never a part."""
    write_file(path, lambda temporary: _put(temporary, data))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as parquet (zstd), atomically. The same table gives the same bytes under one pyarrow."""
    write_file(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


_on_write: ContextVar[OnWrite] = ContextVar("on_write", default=lambda written, path: None)


@contextlib.contextmanager
def writes_told_to(on_write: OnWrite) -> Iterator[None]:
    """Within it, `on_write` hears of every atomic write before it is put in place."""
    token = _on_write.set(on_write)
    try:
        yield
    finally:
        _on_write.reset(token)


def file_digest(path: Path) -> str:
    """sha256 of the file's content, 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_known: dict[Path, tuple[tuple[int, ...], str]] = {}


def digest_once(path: Path) -> str:
    """`file_digest`, read once per process unless the file's size, times or inode have changed since."""
    stat = path.stat()
    mark = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev)
    if _known.get(path, (None, ""))[0] != mark:
        _known[path] = (mark, file_digest(path))
    return _known[path][1]


def sync(path: Path) -> None:
    """fsync one file or folder."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def tree_bytes(folder: Path) -> int:
    """Bytes of every regular file below a folder, links not followed; files that vanish meanwhile count 0."""
    total = 0
    for here, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(here, name)).st_size
    return total


def _put(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a hidden file, then give it the name, as `write_atomic` does."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            sync(temporary)
            _on_write.get()(temporary, path)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync(path.parent)


def _free(folder: Path) -> str:
    while not folder.exists():
        folder = folder.parent
    return f"{shutil.disk_usage(folder).free / 1e6:,.0f} MB"
