"""Did RL write new features, or turn up old ones? The dictionaries of a pair, and those in which nothing is new.

    answers of both -> read by both -> dictionaries (`comparisons`) -> rows (`estimates`), study "features"

A number of the pair's own dictionary is never told without its nulls: what the same recipe finds between the base and
itself, between two halves of its problems, and after a walk of its weights that is as long as the run.
"""

import functools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from probe.activations.shards import Activations
from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.pair import Pair
from probe.data import Estimate
from probe.dictionaries.audits.controls import untrained
from probe.dictionaries.audits.exclusives import exclusives
from probe.dictionaries.audits.stability import matches
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.firing import firing
from probe.dictionaries.diffing.latent_scaling import Scaling, latent_scaling
from probe.dictionaries.fitting.calibrate import calibrated
from probe.dictionaries.fitting.options import Fit
from probe.dictionaries.fitting.stream import Source, Stream
from probe.engine.job import Job
from probe.experiments import experiments
from probe.experiments.budget import PROMPT, Work, size_of
from probe.experiments.dictionaries import estimates
from probe.experiments.dictionaries.cards import Read, card_rows, cards_of
from probe.experiments.dictionaries.comparisons import RL, SEED, UNTRAINED, Comparisons
from probe.experiments.dictionaries.fit_job import DictionaryJob, Halves, dictionary_of
from probe.experiments.dictionaries.fork_parts import fork_kl_of
from probe.experiments.dictionaries.readings import Labels, labels
from probe.experiments.dictionaries.reworded import kept_shares
from probe.experiments.dictionaries.under_models import TEXTS, Answers, recovered_of, token_shares
from probe.experiments.experiment import PairExperiment
from probe.measurements import RowKey, Rows, row_of, to_table
from probe.models.loading.organism import shape_of
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.store import Store, write_atomic, write_table

STUDY = "features"
BATCH = 4096  # rows at a time
ORGANISMS = Fit(128, 4, steps=2000, batch=1024, held=2048, dead_after=20_000)
OUTSIDE = Fit(16_384, 64, steps=20_000)  # of weights from outside, of which there is more to say
FIGURES = (
    "exclusive_latents",
    "change_shares",
    "latent_frequency",
    "feature_cards",
    "latent_kl",
    "dictionary_controls",
)
CARDS = "cards.json"  # beside the rows
DEPTH = 2 / 3  # of the model, where no site is named


def default_site(checkpoint: Checkpoint) -> str:
    """The residual two thirds up. BadInput where the number of blocks is not known before the weights are there."""
    organism = checkpoint.organism
    blocks = shape_of(organism.size).layers if organism else size_of(checkpoint).shape.layers
    return f"resid.{math.ceil(DEPTH * blocks)}"


def default_fit(checkpoint: Checkpoint) -> Fit:
    """By whether it was made here."""
    return OUTSIDE if checkpoint.is_outside else ORGANISMS


@experiments.register("features")
@dataclass(frozen=True)
class FeaturesJob(PairExperiment):
    """What dictionaries say that RL changed, beside their nulls."""

    VERSION: ClassVar = 3  # 3: intervals by problem; cards, KL at forks, other words, an untrained dictionary
    TYPICAL: ClassVar = {"tiny": 12.0}
    FIGURES: ClassVar = FIGURES
    pair: Pair
    site: str
    elicitation: Elicitation = CHAIN
    options: SamplingOptions = SAMPLED
    fit: Fit = ORGANISMS
    compute: Compute = field(default=Compute(), compare=False)

    def __post_init__(self) -> None:
        assert self.pair.trained  # a base alone is refused before anything is sampled

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": STUDY} | self.pair.spec

    @property
    def label(self) -> str:
        return f"{self.pair.label} features at {self.site}"

    @property
    def comparisons(self) -> Comparisons:
        """The dictionaries."""
        return Comparisons(self.pair, self.elicitation, self.options, self.site, self.fit, self.compute)

    @property
    def needs(self) -> tuple[Job, ...]:
        fitted = tuple(self.comparisons.dictionaries.values())
        readings = dict.fromkeys(reading for job in fitted for reading in job.readings)
        return (*fitted, *readings, *self.comparisons.written)

    @property
    def work(self) -> tuple[Work, ...]:
        """Both models read some answers again."""
        return tuple(Work(each, read=4 * TEXTS * (PROMPT + self.options.max_new)) for each in self.pair.sides.values())

    @property
    def key(self) -> RowKey:
        """What its rows are about."""
        return self.pair.reward_key(STUDY, self.options.temperature)

    def measure(self, store: Store) -> Rows:
        return self._told(store)[0]

    def make(self, store: Store, work: Path) -> None:
        rows, cards = self._told(store)
        write_table(work / "data.parquet", to_table(rows))
        write_atomic(work / CARDS, json.dumps(cards, indent=1, allow_nan=False).encode())

    def _told(self, store: Store) -> tuple[Rows, list[dict[str, Any]]]:
        """The rows, and the cards of the latents that they name."""
        jobs, seed = self.comparisons.dictionaries, self.key.base_seed
        parts = {name: Part.read(store, job) for name, job in jobs.items()}
        parts[UNTRAINED] = parts[RL].untrained(self.fit.k, seed)
        held = Activations(store.get(self.comparisons.before.recipe).path)
        known = labels(held, store, self.comparisons.written)
        found = [each for name, part in parts.items() for each in part.told(name, known)]
        alone = {name: exclusives(part.dictionary, part.scaling) for name, part in parts.items()}
        found += estimates.exclusives_of(alone)
        found += _latents(parts, known, seed)
        named = [each.params["latent"] for each in found if each.name == "latent_asked_alike"]  # the best first
        own, models, answers = parts[RL], self.pair.load(store), Answers.read(store, self.comparisons.written[0])
        found += token_shares(own.dictionary, models, answers, named, seed)
        found += kept_shares(own.dictionary, models, answers, named, seed)
        found += fork_kl_of(own.dictionary, models, answers, named, seed)
        found += recovered_of(own.dictionary, models, answers, seed)
        f = torch.cat([own.dictionary.encode(x)[:, named] for x, _ in own.batches()])
        read = Read.of(held.rows(), known, store, self.comparisons.written, models[0])
        again = matches(own.dictionary, parts[SEED].dictionary, ("features", seed), live=own.live)
        found += card_rows(own.dictionary, f, named, read, models, again, seed)
        cards = cards_of(own.dictionary, f, named, read, models)
        return [row_of(self.key, each) for each in found], cards


def _latents(parts: "Mapping[str, Part]", known: Labels, seed: int) -> Iterator[Estimate]:
    """What is told of latents one by one: of the pair's own, and the best of every other dictionary."""
    pair = parts[RL]
    yield from estimates.stability_of(pair.dictionary, parts[SEED].dictionary, pair.live, seed)
    forks = {name: estimates.forks_of(part.source, known) for name, part in parts.items() if not part.halves}
    if not forks[RL].told_apart:
        return
    for name, each in forks.items():
        yield estimates.best_auroc(name, parts[name].dictionary, each, parts[name].live)
    latents = estimates.code_latents(pair.dictionary, forks[RL], pair.live)
    if not latents:
        return
    yield from estimates.aurocs_of(pair.dictionary, forks[RL], latents)
    read = ((x, known.problem[rows]) for x, rows in pair.batches())
    yield from estimates.samenesses_of(pair.dictionary, read, latents, seed)
    batches = ((pair.dictionary.encode(x), known.groups[rows], known.problem[rows]) for x, rows in pair.batches())
    yield from estimates.rates_of(firing(batches), latents)


@dataclass(frozen=True, eq=False)
class Part:
    """One dictionary, its rows, and what latent scaling says of it."""

    dictionary: Dictionary
    stream: Stream

    @classmethod
    def read(cls, store: Store, job: DictionaryJob) -> "Part":
        return cls(dictionary_of(store, job), job.stream(job.source(store)))

    @property
    def source(self) -> Source:
        """Its rows."""
        return self.stream.source

    @property
    def halves(self) -> bool:
        """Whether the rows of its two models are of different problems."""
        return isinstance(self.source, Halves)

    @functools.cached_property
    def scaling(self) -> Scaling:
        """Over all rows."""
        return latent_scaling(self.dictionary, (x for x, _ in self.batches()))

    @property
    def live(self) -> Bool[Tensor, "latent"]:
        """Latents that fired."""
        return self.scaling.fired > 0

    def batches(self) -> Iterator[tuple[Tensor, np.ndarray]]:
        """All rows with their numbers."""
        for start in range(0, len(self.source), BATCH):
            numbers = np.arange(start, min(start + BATCH, len(self.source)))
            yield self.source.read(numbers), numbers

    def held_problems(self, known: Labels) -> list[np.ndarray]:
        """Of every held row, the problem that each model's activations are of."""
        rows = np.concatenate(list(self.stream.held_numbers()))
        sides = self.source.rows if isinstance(self.source, Halves) else [slice(None)] * len(self.dictionary.models)
        return [known.problem[side][rows] for side in sides]

    def untrained(self, k: float, seed: int) -> "Part":
        """Random directions in its place, of the same size; `k` of them active a row, on average."""
        held = list(self.stream.held_rows())
        return Part(calibrated(untrained(self.dictionary, "features", seed), held, k), self.stream)

    def told(self, name: str, known: Labels) -> Iterator[Estimate]:
        """What is told of every comparison alike; what carries a change, where rows are pairs."""
        yield from estimates.health_of(name, self.dictionary, list(self.stream.held_rows()), self.held_problems(known))
        yield from estimates.norms_of(name, self.dictionary, self.live)
        if not self.halves:
            read = ((x, known.problem[numbers]) for x, numbers in self.batches())
            yield from estimates.shares_of(name, self.dictionary, self.scaling, read)
