"""May a result be written to this path, and how does it get there? For every path that somebody names (`--out`).

    out = named_output(path, inputs=[what is read], overwrite=False)     before any work: BadInput says what is wrong
    out.write(lambda temporary: ...)                                     whole or not at all

Only a regular file is ever replaced, never what is read (also not under another name of the same file), and only where
`overwrite` says so. A link stays, and what it points to is written. The content is made in a hidden file beside the
target, flushed, and given its name in one step; where nothing stands at the start, nothing that appears meanwhile is
lost. Left out: folders (`probe.models.loading.load.save_folder`), and the store, which owns its names.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from probe.errors import BadInput
from probe.store.files import disk_errors, sync
from probe.store.regular import kind

NEW_NAME = "name a new file, or say --overwrite"


@dataclass(frozen=True)
class Output:
    """A path that was looked at: `named` as it was said, `target` behind all links; whether it may be replaced."""

    named: Path
    target: Path
    inputs: tuple[Path, ...] = ()
    overwrite: bool = False

    def write(self, make: Callable[[Path], object]) -> None:
        """Let `make` fill a hidden file, then give it the target's name. Nothing is left behind where that fails."""
        temporary = self.target.with_name(f".{secrets.token_hex(8)}.tmp")
        with disk_errors(self.target.parent):
            try:
                make(temporary)
                sync(temporary)
                named_output(self.named, inputs=self.inputs, overwrite=self.overwrite)  # hours may have passed
                self._place(temporary)
            finally:
                temporary.unlink(missing_ok=True)
            sync(self.target.parent)

    def write_bytes(self, data: bytes) -> None:
        """Write these bytes."""
        self.write(lambda path: path.write_bytes(data))

    def write_table(self, table: pa.Table) -> None:
        """Write a table as parquet (zstd)."""
        self.write(lambda path: pq.write_table(table, path, compression="zstd"))

    def _place(self, temporary: Path) -> None:
        if self.overwrite:
            if self.target.exists():
                temporary.chmod(stat.S_IMODE(self.target.stat().st_mode))
            os.replace(temporary, self.target)
            return
        try:
            os.link(temporary, self.target)  # unlike a rename it fails where a file has come meanwhile
        except FileExistsError as err:
            raise _in_the_way(self.named, "this file") from err
        except OSError:  # a file system without hard links
            os.replace(temporary, self.target)


def named_output(path: str | Path, *, inputs: Iterable[Path] = (), overwrite: bool = False) -> Output:
    """The output of this name. BadInput where it cannot be written without a loss, or not at all.

    `inputs` are the files, or the folders of files, that the result is made from.
    """
    path, inputs = Path(path), tuple(Path(each) for each in inputs)
    target = _target(path)
    if not target.parent.is_dir():
        raise BadInput("there is no such folder", where=str(target.parent), do="make it, or name another file")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise BadInput("this folder cannot be written to", where=str(target.parent), do="name a file elsewhere")
    if target.exists():
        _check_replaced(path, target.stat(), inputs, overwrite)
    return Output(path, target, inputs, overwrite)


def _target(path: Path) -> Path:
    """The path behind all links."""
    try:
        os.fspath(path).encode("utf-8")
        target = path.resolve()
        target.exists()
    except (OSError, ValueError, RuntimeError) as err:  # a loop, a null, a name too long or that is no UTF-8
        what = (err.strerror if isinstance(err, OSError) else None) or "it leads nowhere"
        raise BadInput(f"this cannot be the name of a file: {what}", where=ascii(str(path)), do="name another") from err
    if not target.name or target.is_symlink():
        raise BadInput("this cannot be the name of a file", where=str(path), do="name another")
    return target


def _check_replaced(path: Path, found: os.stat_result, inputs: tuple[Path, ...], overwrite: bool) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise BadInput(f"{kind(found.st_mode)} is in the way of the result", where=str(path), do="name a new file")
    if any(os.path.samestat(found, each) for each in _stats(inputs)):
        raise BadInput("this is what the result is made from", where=str(path), do="name a new file")
    if not overwrite:
        raise _in_the_way(path, "this file")


def _in_the_way(path: Path, what: str) -> BadInput:
    return BadInput(f"{what} is in the way of the result", where=str(path), do=NEW_NAME)


def _stats(inputs: tuple[Path, ...]) -> Iterator[os.stat_result]:
    """Of every input, and of every file below those that are folders."""
    for path in inputs:
        with contextlib.suppress(OSError, ValueError):  # not a path after all
            yield path.stat()
            for each in path.rglob("*") if path.is_dir() else ():
                with contextlib.suppress(OSError):
                    yield each.stat()
