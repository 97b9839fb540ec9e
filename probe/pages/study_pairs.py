"""Which pairs does a study measure? Each once: a job's pair, or a run's base and what the run left.

A checkpoint that the manifest names goes by that name: what a command made of it is found again. Left out: experiments
that hold their pairs elsewhere than in `.pair` or `.run`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from probe.checkpoints.checkpoint import Checkpoint, of_organism, of_run
from probe.checkpoints.outside import Folder, Hub
from probe.checkpoints.pair import Pair
from probe.checkpoints.resolve import resolve
from probe.checkpoints.run_job import RunJob
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments.outside_runs.job import OutsideRunJob
from probe.experiments.outside_runs.kept import checkpoint_of
from probe.models.loading.manifest import Manifest
from probe.pages.embed import slug
from probe.rl.labels import spec as labels_spec

NOT_TOLD = ("reward.seed",)  # it is that of the run


@dataclass(frozen=True)
class Measured:
    """A pair of a study; `typed` where a command line can name both sides; `settings` tell its run from others."""

    pair: Pair
    typed: bool = False
    settings: str = ""

    @cached_property
    def folder(self) -> str:
        """Of its page: names that no path can leave, and eight digits of what it is, so that no two are one."""
        digest = hashlib.sha256(json.dumps(_identity(self.pair)).encode()).hexdigest()
        return f"{slug(each.name for each in self.pair.sides.values())}--{digest[:8]}"

    @property
    def reward(self) -> str:
        """What the trained side was trained with, as far as it is known."""
        after = self.pair.trained
        known = after.trained.name if after.trained else after.entry.reward if after.entry else None
        return str(known or ("none" if self.pair.is_null else "not told"))

    @property
    def about(self) -> dict[str, Any]:
        """For the index."""
        names = {side: one.name for side, one in self.pair.sides.items()}
        return names | {"family": self.pair.before.family, "reward": self.reward, "settings": self.settings}


def pairs_of(jobs: Iterable[Job], manifest: Manifest, store: Path | None = None) -> list[Measured]:
    """The pairs of these jobs, in their order. `store` is the folder of the store that holds what was fetched."""
    names = _Names(manifest, store)
    found = {json.dumps(_identity(pair)): pair for pair in filter(None, map(_pair, jobs))}
    told = [names.told(pair) for pair in found.values()]
    told = list({each.folder: each for each in told}.values())  # of one name now
    return [replace(each, settings=said) for each, said in zip(told, _settings(told), strict=True)]


def _pair(job: Job) -> Pair | None:
    pair, run = getattr(job, "pair", None), getattr(job, "run", None)
    if isinstance(pair, Pair) and pair.after is not None:
        return replace(pair, other=None)
    if isinstance(run, RunJob):
        return Pair(of_organism(run.organism), of_run(run))
    return Pair(run.checkpoint, checkpoint_of(run)) if isinstance(run, OutsideRunJob) else None


def _identity(pair: Pair) -> list[Any]:
    """What the weights of both are, and their names; of those that are not here yet what they are called."""

    def told(one: Checkpoint) -> list[Any]:
        with suppress(BadInput):
            return [one.name, one.step, one.dtype, *one.inputs]
        return [one.name, one.step, one.dtype, one.origin.label if one.origin else ""]

    return [told(one) for one in pair.sides.values()]


class _Names:
    """Names that the command line knows checkpoints by."""

    def __init__(self, manifest: Manifest, store: Path | None) -> None:
        self.manifest, self.store = manifest, store
        self._known: dict[str, Checkpoint | None] = {}

    def told(self, pair: Pair) -> Measured:
        """The pair under such names, where there are any."""
        before, after = (self._named(one) for one in (pair.before, pair.trained))
        return Measured(Pair(before or pair.before, after or pair.trained), typed=bool(before and after))

    def _named(self, one: Checkpoint) -> Checkpoint | None:
        runs = self.manifest.runs if one.run else ()
        for name in (*_candidates(one), *runs, *(f"{run}@{one.step}" for run in runs)):
            found = self._resolved(name)
            if found is not None and _weights(found) == _weights(replace(one, dtype="float32")):
                return replace(found, dtype=one.dtype, device_map=one.device_map)
        return None

    def _resolved(self, name: str) -> Checkpoint | None:
        if name not in self._known:
            self._known[name] = None
            with suppress(BadInput):
                self._known[name] = resolve(name, self.manifest, store=self.store)
        return self._known[name]


def _candidates(one: Checkpoint) -> Iterator[str]:
    yield one.name
    if isinstance(one.source, Folder):
        yield str(one.source.path)
    if isinstance(one.source, Hub):
        yield one.source.id + (f"@{one.source.revision}" if one.source.revision else "")


def _weights(one: Checkpoint) -> tuple[object, ...]:
    """Equal for what is the same, without reading files; the name of a run's reward is no part of it."""
    source = one.source.recipe.digest if isinstance(one.source, Job) else one.source
    return (source, one.step, one.adapter, one.dtype)


def _settings(told: Sequence[Measured]) -> Iterator[str]:
    """Of each what its run has and others of its family and reward have not."""
    specs = [_spec(each.pair) for each in told]
    groups = [(each.pair.before.family, each.reward) for each in told]
    for spec, group in zip(specs, groups, strict=True):
        alike = [other for other, its in zip(specs, groups, strict=True) if its == group]
        varying = [key for key in spec if any(other.get(key) != spec[key] for other in alike)]
        yield ", ".join(f"{key.rpartition('.')[2]} {spec[key]}" for key in varying if key not in NOT_TOLD)


def _spec(pair: Pair) -> dict[str, str]:
    """The recipe of its run as text, by dotted name."""
    after = pair.trained
    if after.trained is None:
        return {}
    job = after.kept.job if after.kept else after.run
    labels = {"labels": labels_spec(job.labels)} if isinstance(job, RunJob | OutsideRunJob) else {}
    return dict(_flat(after.trained.grpo.spec() | labels | {"step": after.step}))


def _flat(value: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, str]]:
    for key, each in value.items():
        if isinstance(each, Mapping):
            yield from _flat(each, f"{start}{key}.")
        else:
            yield f"{start}{key}", "none" if each is None else f"{each:g}" if isinstance(each, float) else str(each)
