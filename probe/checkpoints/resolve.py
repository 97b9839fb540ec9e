"""Which checkpoint is meant by a name, and how is it loaded?

    latent-code-tiny-0            an organism of the manifest
    NAME-OF-A-RUN, ...@20         a run of the manifest after its last batch, or after batch 20 (a kept step)
    qwen2.5-math-7b               a checkpoint of the manifest, on the hub
    ORG/NAME, ORG/NAME@REVISION   any checkpoint on the hub (one that is in the manifest keeps its template and shape)
    ./some/folder                 a local Hugging Face checkpoint; its identity is the content of its files
    BASE+ADAPTER                  any of the last three with a LoRA adapter (a folder or a hub id) merged into it

What was not made here is tested when it is loaded (`probe.models.loading.self_test`).
"""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from probe.checkpoints.jobs import Job, OrganismJob, RunJob, load_step
from probe.errors import BadInput
from probe.models.loading.adapter import load_adapter, trained_on
from probe.models.loading.hub import fetch
from probe.models.loading.load import Dtype, Loaded, check_itself, load_folder
from probe.models.loading.manifest import CheckpointEntry, Manifest, OrganismEntry, RunEntry
from probe.registry import nearest
from probe.rewards import compose
from probe.rl import labels
from probe.rl.loss import Loss
from probe.rl.train import GRPO
from probe.store import Store, file_digest

PINNED = (".json", ".safetensors", ".jinja", ".txt", ".model")  # files of a checkpoint that change what it says
MAJORITY = ("offline_majority",)  # ground_truth on such labels is called majority in figures
COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_ID = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9_.-]*/[A-Za-z0-9_-][A-Za-z0-9_.-]*)(?:@([A-Za-z0-9_.-]+))?")


@dataclass(frozen=True)
class Folder:
    """A local checkpoint."""

    path: Path

    @property
    def label(self) -> str:
        return self.path.resolve().name

    @functools.cached_property
    def pins(self) -> tuple[str, ...]:
        """file:<sha256> of every file that matters, in order of their names."""
        files = sorted(file for file in self.path.iterdir() if file.suffix in PINNED and file.is_file())
        return tuple(f"file:{file_digest(file)}" for file in files)

    def files(self) -> Path:
        """Where its files are."""
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


@dataclass(frozen=True)
class Subject:
    """One set of weights that can be sampled and scored; `step` counts batches of a run made here, else 0."""

    name: str
    source: OrganismJob | RunJob | Folder | Hub
    step: int = 0
    adapter: Folder | Hub | None = None
    dtype: Dtype = "float32"
    device_map: str | None = None  # where it runs is no part of what it is

    @property
    def made_here(self) -> bool:
        """Whether it is an organism or descends from one."""
        return isinstance(self.source, OrganismJob | RunJob)

    @property
    def family(self) -> str:
        """Of the organism behind it, or of the manifest's entry; else its own name."""
        if isinstance(self.source, Folder | Hub):
            return self.entry.family if self.entry else self.source.label
        return self._organism.family

    @property
    def entry(self) -> CheckpointEntry | None:
        """What the manifest says of weights on the hub."""
        return self.source.entry if isinstance(self.source, Hub) else None

    @property
    def size(self) -> str:
        """Of the organism behind it."""
        return self._organism.size if self.made_here else ""

    @property
    def base_seed(self) -> int:
        """Of the organism behind it."""
        return self._organism.seed if self.made_here else 0

    @property
    def needs(self) -> tuple[Job, ...]:
        """The jobs that make its weights."""
        if isinstance(self.source, Folder | Hub):
            return ()
        return (self.source,) if isinstance(self.source, OrganismJob) else (self.source, self.source.organism)

    @functools.cached_property
    def inputs(self) -> tuple[str, ...]:
        """What its identity is: digests of the artifacts it is read from, or pins of its files."""
        outside = [part for part in (self.source, self.adapter) if isinstance(part, Folder | Hub)]
        return tuple(pin for part in outside for pin in part.pins) + tuple(job.recipe.digest for job in self.needs)

    @property
    def _organism(self) -> OrganismJob:
        assert isinstance(self.source, OrganismJob | RunJob)
        return self.source if isinstance(self.source, OrganismJob) else self.source.organism

    def load(self, store: Store, *, self_test: bool = True) -> Loaded:
        """The model and its tokenizer; from outside, self-tested. BadInput where it does not behave as it must."""
        if not isinstance(self.source, Folder | Hub):
            return load_step(store, self.source, self.step)
        loaded = load_folder(self.source.files(), dtype=self.dtype, device_map=self.device_map)
        if self.adapter:
            _check_base(self.source, self.adapter.files())
            loaded = load_adapter(loaded, self.adapter.files())
        if self_test:
            check_itself(loaded, self.name)
        return loaded


def _check_base(base: Folder | Hub, adapter: Path) -> None:
    """An adapter fits every model of its base's shape: where both sides name a hub id, they must agree."""
    named = trained_on(adapter) or ""
    if isinstance(base, Hub) and HUB_ID.fullmatch(named) and named != base.id:
        do = f"merge it into {named}"
        raise BadInput(f"this adapter was trained on {named}, not on {base.id}", where=str(adapter), do=do)


def resolve(name: str, manifest: Manifest, *, dtype: Dtype = "float32", device_map: str | None = None) -> Subject:
    """The checkpoint meant by what is typed. BadInput with advice otherwise.

    `dtype` and `device_map` are for weights from outside: organisms are always in fp32.
    """
    base, plus, adapter = name.partition("+")
    if plus:
        source = _outside(base, manifest)
        if source is None:
            raise BadInput(f"{base} is made here: no adapter can be merged into it", where=name, do="give a checkpoint")
        part = _outside(adapter, manifest)
        if part is None:
            raise BadInput(f"no adapter {adapter!r}", where=name, do="give its folder or hub id after the +")
        return Subject(f"{source.label}+{part.label}", source, 0, part, dtype, device_map)
    bare, at, step = name.partition("@")
    entry = manifest.entries().get(bare)
    if isinstance(entry, OrganismEntry | RunEntry):
        return _at(name, made_here(bare, manifest), step if at else None)
    if isinstance(entry, CheckpointEntry) and entry.adapter:
        base_entry = manifest.checkpoint(str(entry.base))
        if not isinstance(base_entry, CheckpointEntry):
            raise BadInput(f"{bare} is an adapter of {entry.base}, which is not on the hub", do="mend the manifest")
        return Subject(bare, _hub(base_entry), 0, _hub(entry), dtype, device_map)
    found = _outside(name, manifest)
    if found is None:
        raise BadInput(f"the manifest has no checkpoint {bare!r}", do=nearest(bare, manifest.names()))
    return Subject(bare if entry else found.label, found, 0, None, dtype, device_map)


def _outside(name: str, manifest: Manifest) -> Folder | Hub | None:
    """A checkpoint of the manifest, a folder that is there, or a hub id; None for anything else."""
    entry = manifest.checkpoints.get(name)
    if entry is not None:
        return _hub(entry)
    if Path(name).is_dir():
        return Folder(Path(name))
    match = HUB_ID.fullmatch(name)
    if match is None and "/" in name:
        raise BadInput("no such folder", where=name, do="give the folder of a Hugging Face checkpoint, or ORG/NAME")
    if match is None:
        return None
    known = next((entry for entry in manifest.checkpoints.values() if entry.id == match[1]), None)
    return Hub(match[1], match[2] or (known.revision if known else None), known)


def _hub(entry: CheckpointEntry) -> Hub:
    return Hub(entry.id, entry.revision, entry)


def here(manifest: Manifest) -> list[str]:
    """The names of everything that is made here."""
    return [*manifest.organisms, *manifest.runs]


def made_here(name: str, manifest: Manifest) -> OrganismJob | RunJob:
    """The job of an organism or a run. BadInput for a checkpoint of the hub, or a run that starts from one."""
    entry = manifest.checkpoint(name)
    if isinstance(entry, OrganismEntry):
        return OrganismJob(entry.family, entry.size, entry.seed)
    if isinstance(entry, CheckpointEntry):
        do = f"made here are {', '.join(here(manifest)[:3])}, ..."
        raise BadInput(f"{name} is a checkpoint on the hub: it is not trained here", do=do)
    base = manifest.checkpoint(entry.base)
    if not isinstance(base, OrganismEntry):
        do = "start the run from an organism"
        raise BadInput(f"{name} starts from {entry.base}, which is no organism", do=do)
    return _run(entry, OrganismJob(base.family, base.size, base.seed))


def _run(entry: RunEntry, organism: OrganismJob) -> RunJob:
    params = dict(entry.params) | (
        {"seed": entry.seed} if entry.reward == "random" and "seed" not in entry.params else {}
    )
    recipe = GRPO(
        compose.from_spec({"reward": entry.reward, **params}),
        loss=Loss(clip_low=entry.clip.low, clip_high=entry.clip.high, dual=entry.clip.dual),
        trainable=entry.trainable,
        lr=entry.lr,
        batches=entry.batches,
        seed=entry.seed,
    )
    name = "majority" if entry.reward == "ground_truth" and entry.labels in MAJORITY else entry.reward
    return RunJob(name, organism, recipe, labels.from_spec({"labels": entry.labels}))


def _at(name: str, job: OrganismJob | RunJob, step: str | None) -> Subject:
    kept = (0,) if isinstance(job, OrganismJob) else job.steps
    if step is None:
        return Subject(name, job, kept[-1])
    if not step.isascii() or not step.isdigit() or int(step) not in kept:
        raise BadInput(f"{name}: no step {step!r} is kept", do=f"kept are {', '.join(map(str, kept))}")
    return Subject(name, job, int(step))
