"""Which checkpoint is meant by a name, and how is it loaded?

latent-code-tiny-0            an organism of the manifest
FAMILY-SIZE-SEED              any other organism: of `probe ls families`, in any size
NAME-OF-A-RUN, ...@20         a run of the manifest after its last batch, or after batch 20 (a kept step)
qwen2.5-math-7b               a checkpoint of the manifest, on the hub or fetched out of a package
ORG/NAME, ORG/NAME@REVISION   any checkpoint on the hub (one that is in the manifest keeps its template and shape)
./some/folder                 a local Hugging Face checkpoint; its identity is the content of its files
BASE+ADAPTER                  any of the last three with a LoRA adapter (a folder or a hub id) merged into it
"""

import re
from functools import partial
from pathlib import Path

from probe.checkpoints.checkpoint import HUB_ID, Checkpoint
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.outside import Folder, Hub
from probe.checkpoints.run_job import RunJob
from probe.errors import BadInput
from probe.families import families
from probe.models.loading.entries import CheckpointEntry, OrganismEntry, RunEntry
from probe.models.loading.load import Dtype
from probe.models.loading.manifest import Manifest
from probe.models.loading.organism import SIZES
from probe.registry import nearest
from probe.rewards import compose
from probe.rl import labels
from probe.rl.loss import Loss
from probe.rl.train import GRPO
from probe.rl.variants import variants
from probe.store import Store
from probe.tasks.published_data import fetched_at, held_at

SEED = re.compile(r"0|[1-9][0-9]{0,8}")
MAJORITY = ("offline_majority",)  # ground_truth on such labels is called majority in figures


def resolve(
    name: str,
    manifest: Manifest,
    *,
    dtype: Dtype = "float32",
    device_map: str | None = None,
    store: Path | str | None = None,
) -> Checkpoint:
    """The checkpoint meant by what is typed. BadInput with advice otherwise.

    `dtype` and `device_map` are for weights from outside: organisms are always in fp32. `store` is the folder of the
    store [$PROBE_STORE, else .probe] that holds what was fetched.
    """
    find = partial(_outside, manifest=manifest, store=store)
    base, plus, adapter = name.partition("+")
    if plus:
        source = find(base)
        if source is None:
            raise BadInput(f"{base} is made here: no adapter can be merged into it", where=name, do="give a checkpoint")
        part = find(adapter)
        if part is None:
            raise BadInput(f"no adapter {adapter!r}", where=name, do="give its folder or hub id after the +")
        return Checkpoint(f"{source.label}+{part.label}", source, 0, part, dtype, device_map)
    bare, at, step = name.partition("@")
    entry = manifest.entries().get(bare)
    if isinstance(entry, OrganismEntry | RunEntry):
        return _at(name, job_of(bare, manifest), step if at else None)
    if isinstance(entry, CheckpointEntry) and entry.adapter:
        base_entry = manifest.checkpoint(str(entry.base))
        if not isinstance(base_entry, CheckpointEntry):
            raise BadInput(f"{bare} is an adapter of {entry.base}, which is not on the hub", do="mend the manifest")
        return Checkpoint(bare, find(str(entry.base)), 0, find(bare), dtype, device_map)  # type: ignore[arg-type]
    organism = _organism(bare)
    if organism is not None:
        return _at(name, organism, step if at else None)
    found = find(name)
    if found is None:
        raise BadInput(f"the manifest has no checkpoint {bare!r}", do=nearest(bare, manifest.names()))
    return Checkpoint(bare if entry else found.label, found, 0, None, dtype, device_map)


def _organism(name: str) -> OrganismJob | None:
    """The organism that FAMILY-SIZE-SEED names; None for no such family or size, or where a folder is called so."""
    for size in SIZES:
        family, cut, seed = name.rpartition(f"-{size}-")
        if cut and family in families.names() and SEED.fullmatch(seed) and not Path(name).is_dir():
            return OrganismJob(family, size, int(seed))
    return None


def _outside(name: str, manifest: Manifest, store: Path | str | None) -> Folder | Hub | None:
    """A checkpoint of the manifest, a folder that is there, or a hub id; None for anything else."""
    entry = manifest.checkpoints.get(name)
    if entry is not None and entry.package:
        root = Store(store).root
        return Folder(held_at(name, root) or fetched_at(name, root), name, entry)
    if entry is not None:
        return Hub(entry.id, entry.revision, entry)
    if Path(name).is_dir():
        return Folder(Path(name))
    match = HUB_ID.fullmatch(name)
    if match is None and "/" in name:
        raise BadInput("no such folder", where=name, do="give the folder of a Hugging Face checkpoint, or ORG/NAME")
    if match is None:
        return None
    known = next((entry for entry in manifest.checkpoints.values() if entry.id == match[1]), None)
    return Hub(match[1], match[2] or (known.revision if known else None), known)


def made_here(manifest: Manifest) -> list[str]:
    """The names of everything that is made here."""
    return [*manifest.organisms, *manifest.runs]


def job_of(name: str, manifest: Manifest) -> OrganismJob | RunJob:
    """The job of an organism or a run. BadInput for a checkpoint of the hub, or a run that starts from one."""
    organism = None if name in manifest.entries() else _organism(name)
    if organism is not None:
        return organism
    entry = manifest.checkpoint(name)
    if isinstance(entry, OrganismEntry):
        return OrganismJob(entry.family, entry.size, entry.seed)
    if isinstance(entry, CheckpointEntry):
        do = f"made here are {', '.join(made_here(manifest)[:3])}, ..."
        raise BadInput(f"{name} is a checkpoint from outside: it is not trained here", do=do)
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
    if entry.variant is not None:
        name, recipe = f"{name} {entry.variant}", variants.get(entry.variant)(recipe)
    return RunJob(name, organism, recipe, labels.from_spec({"labels": entry.labels}))


def _at(name: str, job: OrganismJob | RunJob, step: str | None) -> Checkpoint:
    kept = (0,) if isinstance(job, OrganismJob) else job.steps
    if step is None:
        return Checkpoint(name, job, kept[-1])
    if not step.isascii() or not step.isdigit() or int(step) not in kept:
        raise BadInput(f"{name}: no step {step!r} is kept", do=f"kept are {', '.join(map(str, kept))}")
    return Checkpoint(name, job, int(step))
