"""A dictionary as an artifact: fitted to what one checkpoint holds, or two, and killed anywhere it goes on from there.

    pair     what both hold over the same texts                                    a crosscoder
    itself   one checkpoint's reading given twice: nothing can be exclusive        null
    halves   one checkpoint over one half of the problems beside itself over the other half: the rows are no pairs
    alone    one reading                                                           an SAE

A row is trained on or held out by itself. Beside the dictionary: `log.jsonl` of the training, and `health.json` of the
held rows (FVU of each model, L0, dead latents), which were not trained on.
"""

import dataclasses
import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Int

from probe.activations.shards import Activations
from probe.dictionaries.dictionary import Dictionary, Rows
from probe.dictionaries.exchange.by_saelens import SaeLensFit, fit_by_saelens
from probe.dictionaries.exchange.folder import Kept, read_dictionary, write_dictionary
from probe.dictionaries.fitting.calibrate import calibrated
from probe.dictionaries.fitting.health import health
from probe.dictionaries.fitting.options import Fit
from probe.dictionaries.fitting.state import LOG
from probe.dictionaries.fitting.stream import Folders, Source, Stream
from probe.dictionaries.fitting.training import train
from probe.engine.job import Job
from probe.engine.listener import report
from probe.errors import BadInput
from probe.experiments.budget import Fitting, width_of
from probe.experiments.dictionaries.readings import ReadingJob
from probe.models.hooks.sites import Site, site
from probe.rng import address
from probe.store import Recipe, Store, write_atomic

VERSION = 1
JUMPRELU = 2  # the same of jumprelu: thresholds are scaled to k at the end
BEFORE_AFTER = ("before", "after")
Trainer = Literal["probe", "saelens"]
EVERY = 200  # steps between two states that are kept
BYTES = {"float32": 4, "float64": 8}


@dataclass(frozen=True)
class Halves:
    """Rows of one reading: model 0 has those of one half of the problems, model 1 those of the other half."""

    held: Activations
    models: tuple[str, ...]
    site: Site

    @functools.cached_property
    def rows(self) -> tuple[Int[np.ndarray, "row"], ...]:
        """Row numbers of each half, the longer one cut. BadInput where a half is empty."""
        problem = self.held.rows().problem
        first = np.array([address("half", name) % 2 == 0 for name in problem.tolist()])
        found = tuple(np.flatnonzero(half) for half in (first, ~first))
        n = min(map(len, found))
        if not n:
            raise BadInput("one half of the problems is empty", where=str(self.held.folder), do="ask more problems")
        return tuple(half[:n] for half in found)

    def __len__(self) -> int:
        return len(self.rows[0])

    def read(self, which: Int[np.ndarray, "row"]) -> Rows:
        return torch.stack([self.held.read(str(self.site), half[which]).values for half in self.rows], dim=1)


@dataclass(frozen=True)
class DictionaryJob(Job):
    """One dictionary. `halves`: of the only reading, as two models. `trainer`: who fits it."""

    TYPICAL: ClassVar = {"tiny": 9.0}  # of 1000 steps
    readings: tuple[ReadingJob, ...]
    fit: Fit
    models: tuple[str, ...] = BEFORE_AFTER
    halves: bool = False
    trainer: Trainer = "probe"

    def __post_init__(self) -> None:
        if self.trainer == "saelens" and len(self.models) > 1:
            do = "fit a pair with our own training"
            raise BadInput(f"SAELens' trainer has no dictionary of {len(self.models)} models", where="trainer", do=do)

    @functools.cached_property
    def recipe(self) -> Recipe:
        options = json.loads(json.dumps(dataclasses.asdict(self.fit)))
        params = {"fit": options, "models": list(self.models), "halves": self.halves, "trainer": self.trainer}
        version = JUMPRELU if self.fit.activation == "jumprelu" and self.trainer == "probe" else VERSION
        return Recipe("dictionary", version, params, tuple(job.recipe.digest for job in self.readings))

    @property
    def label(self) -> str:
        names = " and ".join(dict.fromkeys(job.checkpoint.name for job in self.readings))
        return f"{names} dictionary at {self.readings[0].site}{', halves' if self.halves else ''}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return tuple(dict.fromkeys(self.readings))

    @property
    def fitting(self) -> Fitting:
        """Memory and operations of the fit itself."""
        return fitting(self.fit, len(self.models), width_of(self.readings[0].checkpoint))

    def source(self, store: Store) -> Source:
        """The rows that it is fitted to."""
        held = tuple(Activations(store.get(job.recipe).path) for job in self.readings)
        place = site(self.readings[0].site)
        return Halves(held[0], self.models, place) if self.halves else Folders(held, self.models, place)

    def stream(self, source: Source) -> Stream:
        """Batches of a source, and the rows that are held apart."""
        return Stream(source, self.fit.batch, self.fit.held, ("dictionary", *self.fit.seed))

    def make(self, store: Store, work: Path) -> None:
        source = self.source(store)
        found = self._by_saelens(source) if self.trainer == "saelens" else self._trained(source, work)
        fitted_on = {name: job.recipe.digest for name, job in zip(self.models, self.readings, strict=False)}
        write_dictionary(Kept(found, dict(self.recipe.params["fit"]), fitted_on), work)
        about = health(found, self.stream(source).held_rows())
        write_atomic(work / "health.json", json.dumps(dataclasses.asdict(about)).encode())

    def _trained(self, source: Source, work: Path) -> Dictionary:
        """By our own loop, whose log is kept."""
        state = work / "scratch" / "state"

        def told(row: dict[str, Any]) -> None:
            report(row["step"] + 1, self.fit.steps, "steps")

        found = train(source, self.fit, folder=state, every=EVERY, on_log=told)
        write_atomic(work / LOG, (state / LOG).read_bytes())
        return found

    def _by_saelens(self, source: Source) -> Dictionary:
        """By SAELens' trainer, on the same batches; thresholds that lag are calibrated on the same held rows."""
        fit, stream = self.fit, self.stream(source)
        options = SaeLensFit(
            fit.n_latents, fit.steps, fit.lr, fit.lr, fit.activation, fit.k,
            widths=(*fit.prefixes, fit.n_latents) if fit.prefixes else (), warm_up=min(fit.warm_up, fit.steps - 1),
        )  # fmt: skip
        batches = (stream.read(step) for step in range(fit.steps))
        found = fit_by_saelens(batches, options, source.site, self.models[0], "dictionary", *fit.seed)
        lags = fit.activation in ("batchtopk", "matryoshka")
        return calibrated(found, list(stream.held_rows()), fit.k) if lags else found


def dictionary_of(store: Store, job: DictionaryJob) -> Dictionary:
    """It must have been made."""
    return read_dictionary(store.get(job.recipe).path).dictionary


def fitting(fit: Fit, models: int, d: int) -> Fitting:
    """Weights, gradients and both of Adam's moments; a dense [row latent] matrix of a batch thrice, and its rows.

    Operations are those of the dense product of the encoder alone, 2 x rows x models x d x latents: what is sparse
    costs little beside it.
    """
    size = BYTES[fit.dtype]
    weights = 4 * size * (2 * models * d * fit.n_latents + 2 * fit.n_latents + models * d)
    batch = size * fit.batch * (3 * fit.n_latents + 4 * models * d)
    rows = fit.steps * fit.batch
    return Fitting(weights, batch, rows, 2.0 * rows * models * d * fit.n_latents)
