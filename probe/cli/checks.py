"""What `probe check` looks at: manifest, installed versions, the store's artifacts, fetched data, a checkpoint."""

import importlib.metadata
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from probe.cli.show import messages
from probe.errors import ProbeError

if TYPE_CHECKING:
    from probe.store import Store

CONSTRAINTS = "constraints.txt"
CORE = ("torch", "transformers", "numpy", "pyarrow", "math-verify")  # a version of these can change numbers
PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;#]+)", re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    state: Literal["ok", "warning", "failed"]
    about: str
    what: str


def manifest(path: Path | None) -> Iterator[Finding]:
    """It is valid (else BadInput); what is unpinned."""
    from probe.models.loading.manifest import load_manifest

    read = load_manifest(path)
    counts = f"{len(read.organisms)} organisms, {len(read.runs)} runs, {len(read.checkpoints)} checkpoints on the hub"
    yield Finding("ok", "manifest", f"manifest: {counts}")
    yield from (Finding("warning", "manifest", warning) for warning in read.warnings())


def environment() -> Iterator[Finding]:
    """Installed versions against the tested set, where its file is."""
    places = (Path.cwd() / CONSTRAINTS, Path(__file__).parents[2] / CONSTRAINTS)
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        yield Finding(
            "warning", "environment", f"no {CONSTRAINTS} here: versions cannot be compared with the tested set"
        )
        return
    tested = dict(PINNED.findall(file.read_text(encoding="utf-8")))
    found = {name: _installed(name) for name in tested}
    differ = [name for name in tested if found[name] not in (None, tested[name])]
    for name in CORE:
        if found.get(name, "") is None:
            yield Finding("failed", "environment", f"{name} is not installed: pip install -c {CONSTRAINTS} -e .")
    same = sum(found[name] == tested[name] for name in tested)
    yield Finding("ok", "environment", f"environment: {same} of {len(tested)} packages at their tested versions")
    for name in differ:
        yield Finding("warning", "environment", f"{name} is {found[name]}, tested with {tested[name]}")


def store(held: "Store") -> Iterator[Finding]:
    """Every artifact's spec and files against their checksums; what is unfinished or was set aside."""
    from rich.progress import track

    from probe.store import gc
    from probe.store.artifact import check, open_artifact

    folders = list(gc.finished(held.root))
    damaged = 0
    for path in track(folders, "checking artifacts", console=messages(), transient=True, disable=_quiet()):
        try:
            check(open_artifact(path))
        except ProbeError as err:
            damaged += 1
            yield Finding("failed", "store", f"{err.what} [{err.where}]: {err.do}")
    yield Finding("ok", "store", f"store {held.root}: {len(folders) - damaged} of {len(folders)} artifacts are whole")
    if held.remote is not None:
        there = held.artifacts()
        for each in there:
            if not held.holds(each.recipe):
                what = f"{each.stage} {each.digest[:12]} is not whole [{held.shown}]: run what makes it again"
                yield Finding("failed", "store", what)
        yield Finding("ok", "store", f"store {held.shown}: {len(there)} artifacts, of which these were copies")
    for removal in gc.candidates(held.root, {path.name for path in folders}):
        yield Finding("warning", "store", f"{removal.why}: {removal.path} ({removal.bytes / 1e6:.1f} MB)")


def published(held: "Store", path: Path | None) -> Iterator[Finding]:
    """The files of every data set that was fetched, against what was published."""
    from probe.models.loading.manifest import load_manifest
    from probe.tasks.published_data import fetched_at, lacking, strangers

    for name, entry in load_manifest(path).datasets.items():
        folder = fetched_at(name, held.root)
        if folder.is_dir():
            bad = lacking(entry, folder)
            what = f"{name} lacks, or has damaged: {', '.join(bad)} [{folder}]: mend it with probe fetch {name}"
            yield Finding("failed", "published", what) if bad else Finding("ok", "published", f"{name} is whole")
            for stranger in strangers(entry, folder):
                yield Finding("warning", "published", f"{folder / stranger} is no part of {name}, and is not read")
    yield from _packaged(held, path)


def _packaged(held: "Store", path: Path | None) -> Iterator[Finding]:
    """The files of every checkpoint that was fetched out of a package, against the sums of when it was."""
    from probe.models.loading.manifest import load_manifest
    from probe.models.loading.sums import damaged
    from probe.tasks.published_data import fetched_at

    for name, entry in load_manifest(path).checkpoints.items():
        folder = fetched_at(name, held.root)
        if entry.package and folder.is_dir():
            bad = damaged(folder)
            what = f"{name} lacks, or has damaged: {', '.join(bad)} [{folder}]: mend it with probe fetch {name}"
            yield Finding("failed", "published", what) if bad else Finding("ok", "published", f"{name} is whole")


def checkpoint(name: str, held: "Store", path: Path | None) -> Iterator[Finding]:
    """The self-test of one checkpoint that is made; nothing is made for it."""
    from probe.cli.settings import Weights
    from probe.engine.job import one_thread
    from probe.models.loading.self_test import self_test

    which = Weights(manifest=path, store=held.root).checkpoint(name)
    if not all(held.holds(job.recipe) for job in which.needs):
        yield Finding("warning", "checkpoint", f"{name} is not made yet: probe train {name}")
        return
    one_thread()
    for each in self_test(which.load(held, self_test=False)):
        yield Finding("ok" if each.holds else "failed", "checkpoint", f"{name}: {each.name}: {each.detail}")


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name).partition("+")[0]  # 2.13.0+cpu is 2.13.0 of another build
    except importlib.metadata.PackageNotFoundError:
        return None


def _quiet() -> bool:
    return not messages().is_terminal
