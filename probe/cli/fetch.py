"""probe fetch: published data, brought into the store."""

from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import emit, messages, say, shown


@command("fetch", place=130)
def fetch(
    name: Annotated[str, typer.Argument(help="A published data set (`probe ls datasets`).")],
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="BASE", help="Ask this mirror [$PROBE_DATA_URL, else GitHub's raw files]."),
    ] = None,
    store: settings.Root = None,
    manifest: settings.ManifestFile = None,
    as_json: settings.AsJson = False,
) -> None:
    """Bring a published data set.

    Into the store, every file checked against its sha256. What is there and whole is not asked for again. A mirror
    serves BASE/OWNER/REPOSITORY/COMMIT/PATH; proxies are read from HTTPS_PROXY, as everywhere.
    """
    from probe.models.loading.manifest import load_manifest
    from probe.tasks.published_data import bring, strangers

    entry = load_manifest(manifest).dataset(name)
    for warning in entry.warnings:
        say(f"{name}: {warning}")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=messages(), transient=True, disable=not messages().is_terminal) as progress:
        found = bring(name, entry, settings.open_store(store).root, base=url, bar=lambda file: Bar(progress, file))
    for stranger in strangers(entry, found.folder):
        say(f"{name}: {stranger} is no part of the set, and none of it is read")
    if as_json:
        facts = entry.model_dump(include={"repository", "commit", "licence"})
        return emit({"name": name, "folder": str(found.folder), "fetched": list(found.files), **facts})
    done = f"fetched {len(found.files)} of {len(entry.files)} files" if found.files else "it was there"
    shown(f"{name}: {entry.bytes / 1e6:.1f} MB in {found.folder} ({entry.source}, {entry.licence}): {done}")


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
