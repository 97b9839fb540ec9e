"""Files behind any fsspec URL: each is put there whole or not at all, and errors say what to do and no password.

An object store (S3, GCS, Azure) shows a file only when all of it is there. Elsewhere it is written beside its place
under a hidden name, and renamed. `create` writes where nothing is and otherwise says so: of two writers one wins.
"""

import contextlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from probe.errors import BadInput, ProbeError
from probe.store.address import has_secrets, shown, without_secrets
from probe.store.files import UNWRITABLE, DiskFull, is_full, sync

OBJECTS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "r2", "memory"}
EXTRAS = {"s3": "s3", "s3a": "s3"}  # protocol -> our extra that brings it
FULL = re.compile(r"StorageFull|QuotaExceeded|Insufficient ?Storage|\(507\)")  # as MinIO, Ceph and others say it
SETTINGS = {"use_listings_cache": False, "skip_instance_cache": False}  # others write there, too


class Unreachable(ProbeError):
    """The other side does not answer, or not as it should: worth another try."""


class Bucket:
    """The files below one URL, by their names there."""

    def __init__(self, url: str) -> None:
        """Nothing is asked yet."""
        self.url, self.shown = url, shown(url)

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        """The file system and the folder on it."""
        from fsspec.core import url_to_fs

        protocol = self.url.partition(":")[0]
        try:
            return url_to_fs(self.url, **SETTINGS)
        except ImportError as err:
            do = f"pip install 'rlvr-probe[{EXTRAS[protocol]}]'" if protocol in EXTRAS else str(err)
            raise BadInput(f"what reads {protocol} URLs is not installed", where=self.shown, do=do) from err
        except Exception as err:
            raise self._error(err) from self._cause(err)

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where there is none."""
        fs, base = self._opened
        with self.told():
            try:
                return bytes(fs.cat_file(f"{base}/{name}"))
            except FileNotFoundError:
                return None

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """The contents of many small files at once; those that are not there, or not any more, are left out."""
        fs, base = self._opened
        paths = {f"{base}/{name}": name for name in names}
        with self.told():
            found = fs.cat(list(paths), on_error="return") if paths else {}
        for error in found.values():
            if isinstance(error, Exception) and not isinstance(error, FileNotFoundError):
                raise self._error(error) from self._cause(error)
        return {paths[path]: bytes(data) for path, data in found.items() if not isinstance(data, Exception)}

    def sizes(self, below: str = "") -> dict[str, int]:
        """Bytes of every file, by name; empty where there is nothing."""
        fs, base = self._opened
        with self.told():
            try:
                found = fs.find(f"{base}/{below}".rstrip("/"), detail=True)
            except FileNotFoundError:
                return {}
        return {path[len(base) + 1 :]: int(about["size"] or 0) for path, about in found.items()}

    def put(self, file: Path, name: str) -> None:
        """A copy of a local file, in place of what may be there."""
        fs, base = self._opened
        with self.told(), self._whole(f"{base}/{name}") as place:
            fs.put_file(str(file), place)

    def create(self, name: str, data: bytes) -> bool:
        """Write a small file where there is none; False where there is one."""
        fs, base = self._opened
        path = f"{base}/{name}"
        with self.told():
            try:
                if self._objects:
                    _pipe_new(fs, path, data)
                else:
                    with self._whole(path, replace=False) as place:
                        fs.pipe_file(place, data)
            except FileExistsError:
                return False
            return True

    def get(self, name: str, file: Path) -> None:
        """Bring a file here. FileNotFoundError where there is none."""
        fs, base = self._opened
        file.parent.mkdir(parents=True, exist_ok=True)
        with self.told(FileNotFoundError):
            fs.get_file(f"{base}/{name}", str(file))

    def move(self, name: str, to: str) -> None:
        """Another name for a file; nothing where it is not there any more."""
        fs, base = self._opened
        with self.told(), contextlib.suppress(FileNotFoundError):
            self._folder_of(f"{base}/{to}")
            fs.mv(f"{base}/{name}", f"{base}/{to}")

    def check_writable(self) -> None:
        """BadInput, DiskFull or Unreachable where nothing can be written."""
        fs, base = self._opened
        path = f"{base}/partial/{secrets.token_hex(8)}"
        with self.told():
            self._folder_of(path)
            fs.pipe_file(path, b"can this be written?")
            fs.rm_file(path)

    @property
    def _objects(self) -> bool:
        return self.url.partition(":")[0] in OBJECTS

    def _folder_of(self, path: str) -> None:
        fs, _ = self._opened
        if not self._objects:  # they have no folders; s3fs would make a bucket
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)

    @contextlib.contextmanager
    def _whole(self, path: str, *, replace: bool = True) -> Iterator[str]:
        """Where to write what then stands at `path`. FileExistsError where something does and must not be replaced."""
        fs, _ = self._opened
        if self._objects:
            yield path
            return
        self._folder_of(path)
        folder, _, name = path.rpartition("/")
        place = f"{folder}/.{name}.{secrets.token_hex(8)}.tmp"
        try:
            yield place
            if getattr(fs, "local_file", False):
                _name_local(Path(place), Path(path), replace)
            elif not replace and fs.exists(path):
                raise FileExistsError(path)
            else:
                fs.mv(place, path)
        finally:
            with contextlib.suppress(Exception):
                fs.rm_file(place)

    @contextlib.contextmanager
    def told(self, *passing: type[Exception]) -> Iterator[None]:
        """Errors of any library become ours; those of the types `passing` pass."""
        try:
            yield
        except ProbeError:
            raise
        except passing:
            raise
        except Exception as err:
            raise self._error(err) from self._cause(err)

    def _cause(self, err: Exception) -> Exception | None:
        return None if has_secrets(self.url) else err  # a traceback would print what the library said

    def _error(self, err: Exception) -> ProbeError:
        said = without_secrets(f"{type(err).__name__}: {err}", self.url)
        again = "then run the same command again: what is finished is kept"
        if is_full(err) or FULL.search(said):
            return DiskFull(f"no space left in the store {self.shown}", where=said, do=f"free some there, {again}")
        if isinstance(err, PermissionError) or (isinstance(err, OSError) and err.errno in UNWRITABLE):
            do = f"look at the permissions and at the credentials in the environment, {again}"
            return BadInput(f"the store {self.shown} cannot be read, or not be written", where=said, do=do)
        if isinstance(err, FileNotFoundError | NotADirectoryError):
            do = f"make it, or set PROBE_STORE to one that is there, {again}"
            return BadInput(f"there is no such bucket or folder: {self.shown}", where=said, do=do)
        if isinstance(err, ValueError | NotImplementedError):
            return BadInput(f"{self.shown} cannot be a store", where=said, do="set PROBE_STORE to a folder or a URL")
        do = f"look whether it is up, and at the credentials in the environment, {again}"
        return Unreachable(f"the store {self.shown} cannot be reached", where=said, do=do)


def _pipe_new(fs: Any, path: str, data: bytes) -> None:
    """FileExistsError where something is there. Where the service has no such request, it is looked at before."""
    try:
        fs.pipe_file(path, data, mode="create")
    except (TypeError, NotImplementedError):
        if fs.exists(path):
            raise FileExistsError(path) from None
        fs.pipe_file(path, data)


def _name_local(place: Path, path: Path, replace: bool) -> None:
    """On a folder of this machine, or mounted here: on the disk before it has its name."""
    sync(place)
    if replace:
        os.replace(place, path)
    else:
        os.link(place, path)
    sync(path.parent)
