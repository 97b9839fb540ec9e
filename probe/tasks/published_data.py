"""Which published data sets are there, where do they lie, and how is one brought? Files of public repositories.

    source    <base>/<repository>/<commit>/<path>     base: a mirror or $PROBE_DATA_URL, else GitHub's raw files
    held at   $PROBE_REAL_DATA/<name>/<file>, else <store>/published/<name>/<file>

The manifest lists them, with the sha256 of every file; a file without one is taken as it comes, and its entry says so.
A set is fetched beside its place, checked, and renamed into it: whole, or not there. What is there and whole is not
asked for again. Left out: reading the files (`probe.tasks.published_outputs`).
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from probe.errors import BadInput, ProbeError
from probe.store import file_digest
from probe.store.files import disk_errors, sync
from probe.store.locks import exclusive

PLACE, BASE = "PROBE_REAL_DATA", "PROBE_DATA_URL"
GITHUB = "https://raw.githubusercontent.com"
FOLDER = "published"  # of a store
CHUNK = 1 << 16

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Below = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$")]
Bar = Callable[[str], Any]  # a file's name -> its progress bar: total, update, reset, close (pooch's protocol)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DataFile(_Strict):
    """One file: `path` in its repository, and what its bytes are. No sha256: nobody has checked them."""

    path: Below
    bytes: Annotated[int, Field(gt=0)] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class DatasetEntry(_Strict):
    """A published data set: files of one commit of a public repository, by the names they get here."""

    about: Annotated[str, Field(min_length=1)]
    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*/[A-Za-z0-9_-][A-Za-z0-9_.-]*$")]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,40}$")]
    licence: Annotated[str, Field(min_length=1)]
    files: Annotated[dict[FileName, DataFile], Field(min_length=1)]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of its numbers has to know."""
        unknown = [name for name, file in self.files.items() if file.sha256 is None]
        return (f"not verified, for want of a sha256: {', '.join(unknown)}",) if unknown else ()

    @property
    def bytes(self) -> int:
        """Of all files, as far as they are known."""
        return sum(file.bytes or 0 for file in self.files.values())

    @property
    def source(self) -> str:
        """Repository and commit."""
        return f"{self.repository} @ {self.commit[:7]}"


@dataclass(frozen=True)
class Brought:
    """Where the set lies, and which of its files were fetched now."""

    folder: Path
    files: tuple[str, ...]


def held_at(name: str, root: Path) -> Path | None:
    """The folder of a set: below $PROBE_REAL_DATA, else in the store at `root`. BadInput where that names nothing."""
    named = os.environ.get(PLACE)
    if named and not Path(named).is_dir():
        raise BadInput("there is no such folder", where=f"{PLACE}={named}", do=f"unset {PLACE}, or name a folder")
    places = [Path(named) / name] if named else []
    return next((place for place in (*places, fetched_at(name, root)) if place.is_dir()), None)


def fetched_at(name: str, root: Path) -> Path:
    """Where `bring` puts a set, there or not."""
    return root / FOLDER / name


def lacking(entry: DatasetEntry, folder: Path) -> list[str]:
    """The files that are not in the folder, or not as published."""
    return [name for name, file in entry.files.items() if not _whole(folder / name, file)]


def strangers(entry: DatasetEntry, folder: Path) -> list[str]:
    """What stands in the folder and is no part of the set."""
    return sorted(file.name for file in folder.iterdir() if file.name not in entry.files) if folder.is_dir() else []


def bring(name: str, entry: DatasetEntry, root: Path, *, base: str | None = None, bar: Bar | None = None) -> Brought:
    """Fetch what is lacking of a set into the store at `root`; nothing where it is whole.

    `base` stands for GitHub's address, so that a mirror can be asked. ProbeError where a file cannot be had, or is not
    what was published: then everything is as it was.
    """
    place, found = fetched_at(name, root), lacking(entry, fetched_at(name, root))
    if found:
        address = _address(base)
        with disk_errors(root), exclusive(root / "locks" / f"{FOLDER}-{name}.lock"):
            found = lacking(entry, place)  # another process may have brought it meanwhile
            _fetch({file: f"{address}/{_below(entry, file)}" for file in found}, entry, place, bar)
    return Brought(place, tuple(found))


def _whole(path: Path, file: DataFile) -> bool:
    return path.is_file() and file.sha256 in (None, file_digest(path))


def _address(base: str | None) -> str:
    """The base asked for, without a slash at its end."""
    given, where = (base, "--url") if base is not None else (os.environ.get(BASE) or GITHUB, BASE)
    if not _is_web(given):
        raise BadInput(f"{given!r} is no web address", where=where, do=f"give a base such as {GITHUB}")
    return given.rstrip("/")


def _is_web(address: str) -> bool:
    try:
        parts = urlsplit(address)
        named = parts.hostname and parts.port != 0
        return parts.scheme in ("http", "https") and bool(named) and not set("?#").intersection(address)
    except ValueError:  # of a host or a port
        return False


def _below(entry: DatasetEntry, file: str) -> str:
    return f"{entry.repository}/{entry.commit}/{entry.files[file].path}"


def _fetch(urls: dict[str, str], entry: DatasetEntry, place: Path, bar: Bar | None) -> None:
    work = place.with_name(f".{place.name}.tmp")
    shutil.rmtree(work, ignore_errors=True)  # of a process that was killed
    try:
        for file, url in urls.items():
            _download(url, work / file, entry.files[file].sha256, bar and bar(file))
        _put(work, place)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download(url: str, path: Path, sha256: str | None, bar: Any) -> None:
    import pooch  # and requests with it: not before there is something to fetch
    from requests.exceptions import RequestException

    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(progressbar=bar or False, chunk_size=CHUNK)
    try:
        pooch.retrieve(url, sha256 and f"sha256:{sha256}", path.name, path.parent, downloader=downloader)
    except RequestException as err:
        if err.response is not None:
            err.response.close()  # pooch leaves the socket of a refusal to the garbage collector
        raise _unreached(err, url) from err
    except ValueError as err:
        do = "fetch again; if it stays, this address serves something else: name another with --url"
        raise ProbeError(f"{path.name} is not what was published: its sha256 differs", where=url, do=do) from err


def _unreached(err: Any, url: str) -> ProbeError:
    """What an error of the network means to whoever asked."""
    from requests.exceptions import ChunkedEncodingError, ContentDecodingError

    host = urlsplit(url).netloc
    mirror = f"name a mirror with --url BASE or ${BASE}, or set ${PLACE} to a folder that holds the set"
    if err.response is not None:
        status = f"{err.response.status_code} {err.response.reason}"
        return ProbeError(f"{host} does not give the file: {status}", where=url, do=mirror)
    if isinstance(err, ChunkedEncodingError | ContentDecodingError):
        return ProbeError(f"the answer of {host} broke off", where=url, do="run the same command again")
    return ProbeError(f"cannot reach {host} ({type(err).__name__})", where=url, do=f"go online, or {mirror}")


def _put(work: Path, place: Path) -> None:
    """A new set appears as a whole; of one that is there, each file is replaced as a whole."""
    if not work.is_dir():
        return
    for file in work.iterdir():
        file.chmod(0o644)  # temporary files are their owner's alone
        sync(file)
    if place.is_dir():
        for file in work.iterdir():
            os.replace(file, place / file.name)
    else:
        os.replace(work, place)
    sync(place.parent)
