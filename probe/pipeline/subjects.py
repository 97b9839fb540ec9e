"""Which checkpoint is meant by a name, and how is it loaded?

    latent-code-tiny-0            an organism of the manifest
    NAME-OF-A-RUN, ...@20         a run of the manifest after its last batch, or after batch 20 (a kept step)
    ./some/folder                 a local Hugging Face checkpoint; its identity is the content of its files

Left out: checkpoints on the hub (download one and give its folder).
"""

import functools
from dataclasses import dataclass
from pathlib import Path

from probe.errors import BadInput
from probe.models.load import Loaded, load_folder
from probe.models.manifest import CheckpointEntry, Manifest, OrganismEntry, RunEntry
from probe.pipeline.jobs import Job, OrganismJob, RunJob, load_step
from probe.registry import nearest
from probe.rewards import compose
from probe.rl import labels
from probe.rl.loss import Loss
from probe.rl.train import GRPO
from probe.store import Store, file_digest

SHAPES = ("llama", "qwen2")  # what the sampler can decode
PINNED = (".json", ".safetensors", ".jinja", ".txt", ".model")  # files of a checkpoint that change what it says
MAJORITY = ("offline_majority",)  # ground_truth on such labels is called majority in figures


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


@dataclass(frozen=True)
class Subject:
    """One set of weights that can be sampled and scored; `step` counts batches of a run, else 0."""

    name: str
    source: OrganismJob | RunJob | Folder
    step: int = 0

    @property
    def family(self) -> str:
        """Of the organism behind it; a folder's own name."""
        return self.source.label if isinstance(self.source, Folder) else self._organism.family

    @property
    def size(self) -> str:
        """Of the organism behind it."""
        return "" if isinstance(self.source, Folder) else self._organism.size

    @property
    def base_seed(self) -> int:
        """Of the organism behind it."""
        return 0 if isinstance(self.source, Folder) else self._organism.seed

    @property
    def needs(self) -> tuple[Job, ...]:
        """The jobs that make its weights."""
        if isinstance(self.source, Folder):
            return ()
        return (self.source,) if isinstance(self.source, OrganismJob) else (self.source, self.source.organism)

    @property
    def inputs(self) -> tuple[str, ...]:
        """What its identity is: digests of the artifacts it is read from, or pins of its files."""
        pinned = self.source.pins if isinstance(self.source, Folder) else ()
        return pinned + tuple(job.recipe.digest for job in self.needs)

    @property
    def _organism(self) -> OrganismJob:
        assert not isinstance(self.source, Folder)
        return self.source if isinstance(self.source, OrganismJob) else self.source.organism

    def load(self, store: Store) -> Loaded:
        """The model and its tokenizer. BadInput where the sampler cannot decode it."""
        if not isinstance(self.source, Folder):
            return load_step(store, self.source, self.step)
        loaded = load_folder(self.source.path)
        config = loaded.model.config
        ends = all(isinstance(getattr(config, name), int) for name in ("eos_token_id", "pad_token_id"))
        if config.model_type not in SHAPES or not ends:
            what = (
                f"cannot sample a {config.model_type} model"
                if ends
                else "config.json names no single eos and pad token"
            )
            raise BadInput(what, where=str(self.source.path), do=f"give a model of type {' or '.join(SHAPES)}")
        return loaded


def resolve(name: str, manifest: Manifest) -> Subject:
    """The checkpoint meant by a name of the manifest, NAME@STEP, or a folder. BadInput with advice otherwise."""
    bare, at, step = name.partition("@")
    if bare in manifest.entries():
        return _at(name, made_here(bare, manifest), step if at else None)
    if Path(name).is_dir():
        return Subject(Folder(Path(name)).label, Folder(Path(name)))
    if "/" in name:
        raise BadInput("no such folder", where=name, do="give the folder of a Hugging Face checkpoint")
    raise BadInput(f"the manifest has no checkpoint {bare!r}", do=nearest(bare, here(manifest)))


def here(manifest: Manifest) -> list[str]:
    """The names of everything that is made here."""
    return [*manifest.organisms, *manifest.runs]


def made_here(name: str, manifest: Manifest) -> OrganismJob | RunJob:
    """The job of an organism or a run. BadInput for a checkpoint of the hub, or a run that starts from one."""
    entry = manifest.checkpoint(name)
    if isinstance(entry, OrganismEntry):
        return OrganismJob(entry.family, entry.size, entry.seed)
    if isinstance(entry, CheckpointEntry):
        do = f"download {entry.id} and give its folder; made here are {', '.join(here(manifest)[:3])}, ..."
        raise BadInput(f"{name} is a checkpoint on the hub: it is neither trained nor fetched here", do=do)
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
