"""probe ls: what is there?"""

import inspect
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import emit, table

if TYPE_CHECKING:
    from types import ModuleType

    from probe.models.loading.entries import Entry
    from probe.registry import Registry

Kind = Literal[
    "checkpoints",
    "templates",
    "families",
    "rewards",
    "measures",
    "figures",
    "studies",
    "experiments",
    "variants",
    "datasets",
]
REGISTRIES = {
    "families": ("probe.families", "families"),
    "rewards": ("probe.rewards", "rewards"),
    "measures": ("probe.measures", "measures"),
    "figures": ("probe.plots", "figures"),
    "studies": ("probe.studies", "studies"),
    "experiments": ("probe.experiments", "experiments"),
    "variants": ("probe.rl.variants", "variants"),
}


@command("ls", place=10)
def list_all(
    kind: Annotated[Kind | None, typer.Argument(help="Of one kind only.")] = None,
    store: settings.Root = None,
    manifest: settings.ManifestFile = None,
    as_json: settings.AsJson = False,
) -> None:
    """List what there is, with a line on each.

    Checkpoints, prompt templates, organism families, rewards, measures, figures, studies, experiments,
    variants of the training recipe and published data sets. A
    checkpoint on the hub without a commit is marked.
    """
    listed = {"checkpoints": _entries, "templates": _templates, "datasets": lambda path: _datasets(path, store)}
    found = {name: listed[name](manifest) if name in listed else _registered(name) for name in _kinds(kind)}
    if as_json:
        return emit(found)
    for name, rows in found.items():
        columns = [key for key in rows[0] if key != "warnings"] if rows else ["name"]
        table(columns, [[_mark(row, column) for column in columns] for row in rows], name)


def _kinds(kind: Kind | None) -> list[str]:
    return [kind] if kind else ["checkpoints", "templates", *REGISTRIES, "datasets"]


def _mark(row: dict[str, Any], column: str) -> str:
    value = "" if row[column] is None else str(row[column])
    mark = "not verified" if "licence" in row else "unpinned"
    return f"{value} ({mark})" if column == "about" and row.get("warnings") else value


def _entries(manifest: Path | None) -> list[dict[str, Any]]:
    from probe.models.loading.manifest import load_manifest

    entries = load_manifest(manifest).entries()
    return [{"name": name, **_about(entry), "warnings": list(entry.warnings)} for name, entry in entries.items()]


def _templates(manifest: Path | None) -> list[dict[str, Any]]:
    from probe.models.loading.manifest import load_manifest

    read = load_manifest(manifest).templates.items()
    return [{"name": name, "about": each.text or f"chat template, system prompt: {each.system}"} for name, each in read]


def _datasets(manifest: Path | None, store: Path | None) -> list[dict[str, Any]]:
    from probe.models.loading.manifest import load_manifest
    from probe.tasks.published_data import fetched_at

    root = settings.open_store(store).root
    return [
        {
            "name": name,
            "about": entry.about,
            "from": entry.source,
            "licence": entry.licence,
            "MB": round(entry.bytes / 1e6, 1),
            "fetched": "yes" if fetched_at(name, root).is_dir() else "",
            "warnings": list(entry.warnings),
        }
        for name, entry in load_manifest(manifest).datasets.items()
    ]


def _about(entry: "Entry") -> dict[str, Any]:
    from probe.models.loading.entries import CheckpointEntry, RunEntry

    about = {"base": entry.base, "reward": getattr(entry, "reward", None)}
    if isinstance(entry, CheckpointEntry):
        where = f"in the package {entry.package.pinned}" if entry.package else "on the hub"
        return about | {"about": f"{where}: {entry.id}"}
    if isinstance(entry, RunEntry):
        clip = "no clip" if entry.clip.high is None else f"clip {entry.clip.high:g}"
        return about | {
            "about": f"GRPO here: {entry.batches} batches, labels {entry.labels}, {clip}, seed {entry.seed}"
        }
    return about | {"about": f"pretrained here: {entry.size}, seed {entry.seed}"}


def _registered(kind: str) -> list[dict[str, Any]]:
    import importlib

    package, name = REGISTRIES[kind]
    registry: Registry[Any] = getattr(importlib.import_module(package), name)
    things = dict(registry.items())
    shared = Counter(inspect.getmodule(thing) for thing in things.values())
    return [{"name": name, "about": _line(thing, shared)} for name, thing in things.items()]


def _line(thing: object, shared: "Counter[ModuleType | None]") -> str:
    """What its file asks; of one among several in a file, or in a file that asks nothing, its own first line."""
    module = inspect.getmodule(thing)
    texts = (inspect.getdoc(thing), inspect.getdoc(module))
    text = next(filter(None, texts if shared[module] > 1 else reversed(texts)), "")
    return text.partition("\n")[0]
