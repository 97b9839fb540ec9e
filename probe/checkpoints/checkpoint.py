"""One set of weights that can be sampled, scored, read and edited. Its identity is its content, never a path.

    source   OrganismJob | RunJob        made here: digests of the artifacts it is read from
             Folder | Hub | Kept         from outside: the sha256 of its files, a hub id at a commit, or what a run on
                                         such weights left (`probe.checkpoints.outside`)

What was not made here is tested when it is loaded (`probe.models.loading.self_test`).
"""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from probe.checkpoints.organism_job import OrganismJob, load_organism
from probe.checkpoints.outside import Folder, Hub, Kept, Outside
from probe.checkpoints.run_job import RunJob, load_step
from probe.engine.job import Job
from probe.errors import BadInput
from probe.measurements import RowKey
from probe.models.loading.adapter import load_adapter, trained_on
from probe.models.loading.entries import CheckpointEntry
from probe.models.loading.load import Dtype, load_folder
from probe.models.loading.loaded import Loaded
from probe.models.loading.self_test import check_itself
from probe.store import Store

HUB_ID = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9_.-]*/[A-Za-z0-9_-][A-Za-z0-9_.-]*)(?:@([A-Za-z0-9_.-]+))?")


@dataclass(frozen=True, repr=False)
class Checkpoint:
    """One set of weights; `step` counts batches of a run made here, else 0."""

    name: str
    source: OrganismJob | RunJob | Outside
    step: int = 0
    adapter: Outside | None = None
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
    def kept(self) -> Kept | None:
        """What a run on weights from outside left of it in the store, if one did."""
        return next((part for part in (self.adapter, self.source) if isinstance(part, Kept)), None)

    @property
    def trained(self) -> RunJob | Kept | None:
        """The GRPO run that made it, here or on weights from outside: its reward's name, and its recipe."""
        return self.run or self.kept

    @property
    def is_outside(self) -> bool:
        """Whether its weights were made elsewhere: large, self-tested, worked on in the calling process."""
        return self.organism is None

    @property
    def origin(self) -> Folder | Hub | None:
        """Where weights from outside lie, or those that they were trained from."""
        source = self.source.base if isinstance(self.source, Kept) else self.source
        return source if isinstance(source, Folder | Hub) else None

    @property
    def entry(self) -> CheckpointEntry | None:
        """What the manifest says of weights from outside."""
        return self.origin.entry if self.origin else None

    @property
    def family(self) -> str:
        """Of the organism behind it, or of the manifest's entry; else its own name."""
        if self.organism is not None:
            return self.organism.family
        assert self.origin
        return self.entry.family if self.entry else self.origin.label

    @property
    def needs(self) -> tuple[Job, ...]:
        """The jobs that make its weights."""
        if isinstance(self.source, RunJob):
            return (self.source, self.source.organism)
        if isinstance(self.source, OrganismJob):
            return (self.source,)
        return tuple(part.job for part in (self.source, self.adapter) if isinstance(part, Kept))

    @functools.cached_property
    def inputs(self) -> tuple[str, ...]:
        """What its identity is: digests of the artifacts it is read from, or pins of its files."""
        outside = [part for part in (self.source, self.adapter) if isinstance(part, Outside)]
        return tuple(pin for part in outside for pin in part.pins) + tuple(job.recipe.digest for job in self.needs)

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for two checkpoints exactly where their weights are the same."""
        pins = (each.pins for each in (self.source, self.adapter) if isinstance(each, Outside))
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
        loaded = load_folder(self.source.files(store), dtype=self.dtype, device_map=self.device_map)
        if self.adapter:
            adapter = self.adapter.files(store)
            _check_base(self.source, adapter)
            loaded = load_adapter(loaded, adapter)
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


def _check_base(base: Outside, adapter: Path) -> None:
    """An adapter fits every model of its base's shape: where both sides name a hub id, they must agree."""
    named = trained_on(adapter) or ""
    if isinstance(base, Hub) and HUB_ID.fullmatch(named) and named != base.id:
        do = f"merge it into {named}"
        raise BadInput(f"this adapter was trained on {named}, not on {base.id}", where=str(adapter), do=do)
