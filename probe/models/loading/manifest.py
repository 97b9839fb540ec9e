"""Which checkpoints are there, where does each come from, and which is the base of which?

`checkpoints_manifest.yaml` is the only hand-written data of the project. Organisms, runs and checkpoints share one
namespace (what each holds: `entries`). Beside them `datasets`: published data, by repository, commit, path and sha256
(`probe.tasks.published_data`).
Nothing is guessed: an unknown key, a missing base, a cycle, a name given twice and a wrong type are errors that name
file, line, entry and key. A hub entry whose commit is not pinned carries a warning, for whoever measures it to show.
Left out: downloading and building (`load`), and whether a reward of that name exists (`probe.rewards`).
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import ErrorDetails

from probe.errors import BadInput
from probe.models.loading.entries import (
    STRICT,
    CheckpointEntry,
    Clip,
    Entry,
    Name,
    OrganismEntry,
    Package,
    RunEntry,
    Shape,
    Template,
)
from probe.models.loading.strict_yaml import Document, read_yaml
from probe.registry import nearest
from probe.tasks.published_data import DataFile, DatasetEntry

NAME = "checkpoints_manifest.yaml"
SHOWN = 4  # names at each end of a long chain that an error spells out
LONG = 200  # characters of a wrong value that are quoted


def _whole(version: object) -> object:
    if type(version) is not int:  # true and 1.0 are equal to 1
        raise ValueError("it is a whole number")
    return version


class Manifest(BaseModel):
    """Everything a manifest file says. Names are unique over the three kinds of entries."""

    model_config = STRICT
    version: Annotated[Literal[1], BeforeValidator(_whole)]
    templates: dict[Name, Template]
    organisms: dict[Name, OrganismEntry] = {}
    runs: dict[Name, RunEntry] = {}
    checkpoints: dict[Name, CheckpointEntry] = {}
    datasets: dict[Name, DatasetEntry] = {}

    def entries(self) -> dict[str, Entry]:
        """Every entry by name, in the file's order."""
        return {**self.organisms, **self.runs, **self.checkpoints}

    def names(self) -> list[str]:
        """Every name, in the file's order."""
        return list(self.entries())

    def checkpoint(self, name: str) -> Entry:
        """The entry of that name; BadInput with the nearest names where there is none."""
        entries = self.entries()
        if name not in entries:
            raise BadInput(f"the manifest has no checkpoint {name!r}", do=nearest(name, list(entries)))
        return entries[name]

    def template(self, name: str) -> Template:
        """The template of that name; BadInput with the nearest names where there is none."""
        if name not in self.templates:
            raise BadInput(f"the manifest has no template {name!r}", do=nearest(name, list(self.templates)))
        return self.templates[name]

    def dataset(self, name: str) -> DatasetEntry:
        """The published data set of that name; BadInput with the nearest names where there is none."""
        if name not in self.datasets:
            raise BadInput(f"the manifest has no data set {name!r}", do=nearest(name, list(self.datasets)))
        return self.datasets[name]

    def lineage(self, name: str) -> list[str]:
        """From the first ancestor down to `name` itself."""
        entries, path = self.entries(), [name]
        base = self.checkpoint(name).base
        while base is not None:
            path.append(base)
            base = entries[base].base
        return path[::-1]

    def warnings(self) -> list[str]:
        """The warnings of all entries, each once, with the entry's name."""
        named = [*self.entries().items(), *self.datasets.items()]
        return [f"{name}: {warning}" for name, entry in named for warning in entry.warnings]


def load_manifest(path: Path | str | None = None) -> Manifest:
    """Read and check a manifest: `path`, else the one in the working directory, else the project's own."""
    document = read_yaml(_default() if path is None else Path(path))
    if not isinstance(document.data, dict):
        raise BadInput("a manifest is a mapping", where=str(document.path), do=f"start from the project's {NAME}")
    try:
        manifest = Manifest.model_validate(document.data)
    except ValidationError as err:
        raise _complain(document, err.errors()) from err
    _check_names(manifest, document)
    _check_links(manifest, document)
    return manifest


def _default() -> Path:
    places = [Path.cwd() / NAME, Path(__file__).parents[3] / NAME]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise BadInput(f"there is no {NAME}", where=" or ".join(map(str, places)), do="run in the project, or name one")
    return file


def _check_names(manifest: Manifest, document: Document) -> None:
    seen: dict[str, str] = {}
    for kind in ("organisms", "runs", "checkpoints"):
        for name in getattr(manifest, kind):
            if name in seen:
                raise _bad(document, (kind, name), f"the name {name!r} is already used in {seen[name]}", "rename one")
            seen[name] = kind


def _check_links(manifest: Manifest, document: Document) -> None:
    """Every base and template exists, a reward has a base, and no entry descends from itself."""
    entries, sound = manifest.entries(), set[str]()
    for kind in ("runs", "checkpoints"):
        for name, entry in getattr(manifest, kind).items():
            what = "a reward" if entry.reward is not None else "an adapter" if getattr(entry, "adapter", False) else ""
            if entry.base is None and what:
                raise _bad(document, (kind, name), f"{name} has {what} but no base", "say what it was trained from")
            sound.update(_check_bases(entries, sound, document, (kind, name)))
    for name, each in manifest.checkpoints.items():
        if each.template not in manifest.templates:
            do = nearest(each.template, list(manifest.templates))
            what = f"{name}: there is no template {each.template!r}"
            raise _bad(document, ("checkpoints", name, "template"), what, do)


def _check_bases(
    entries: dict[str, Entry], sound: set[str], document: Document, place: tuple[str, str]
) -> dict[str, None]:
    """The entry and its ancestors up to the first that is `sound` already: each is walked over once."""
    path, name = {place[1]: None}, place[1]
    while name not in sound and (base := entries[name].base) is not None:
        if base not in entries:
            what = f"{name}: its base {base!r} is not in the manifest"
            raise _bad(document, (*place, "base"), what, nearest(base, list(entries)))
        if base in path:
            what = f"a cycle of bases: {_shortened([*path, base])}"
            raise _bad(document, (*place, "base"), what, "a base must come before what is made from it")
        path[base], name = None, base
    return path


def _shortened(names: list[str]) -> str:
    kept = names if len(names) <= 2 * SHOWN else [*names[:SHOWN], "...", *names[-SHOWN:]]
    return " -> ".join(kept)


def _complain(document: Document, errors: list[ErrorDetails]) -> BadInput:
    """One error out of pydantic's list, in full, and how many more there are. A missing key is often a misspelt one."""
    first = min(errors, key=lambda error: (error["type"] == "missing", document.line(_keys(error))))
    keys = _keys(first)
    what, do = _explain(first, keys)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return _bad(document, keys, what + more, do)


def _explain(error: ErrorDetails, keys: tuple[str, ...]) -> tuple[str, str]:
    place, key = ".".join(keys[:-1]) or "the manifest", keys[-1] if keys else ""
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown key {key!r}", nearest(key, _fields(keys))
    if error["type"] == "missing":
        return f"{place}: the key {key!r} is missing", f"add {key}"
    if key == "revision":
        return (
            f"{place}: {_quoted(error['input'])} is not a commit",
            "pin the 40 hex digits of a commit, or null (unpinned)",
        )
    return f"{'.'.join(keys)} is {_quoted(error['input'])}: {error['msg']}", "give a value of that kind"


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONG else f"{text[:LONG]}..."


def _keys(error: ErrorDetails) -> tuple[str, ...]:
    """The place of an error as keys of the file: pydantic adds the names of union members behind a leaf."""
    return tuple(str(part) for part in error["loc"] if part != "[key]")[: 5 if error["loc"][:1] == ("datasets",) else 4]


def _fields(keys: tuple[str, ...]) -> list[str]:
    """The keys that are known where `keys[-1]` was given."""
    model: type[BaseModel] = Manifest
    parts: dict[str, type[BaseModel]] = {"clip": Clip, "shape": Shape, "package": Package, "files": DataFile}
    kinds: dict[str, type[BaseModel]] = {
        "templates": Template,
        "organisms": OrganismEntry,
        "runs": RunEntry,
        "checkpoints": CheckpointEntry,
        "datasets": DatasetEntry,
    }
    if len(keys) > 1:
        model = parts[keys[2]] if len(keys) > 3 else kinds[keys[0]]
    return list(model.model_fields)


def _bad(document: Document, keys: tuple[str, ...], what: str, do: str) -> BadInput:
    return BadInput(what, where=f"{document.path}:{document.line(keys)}", do=do)
