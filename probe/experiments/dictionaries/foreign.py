"""What does somebody else's dictionary say of a pair, and how well does it say what stands there?

    answers of both -> each read by the checkpoint that wrote them -> the dictionary's latents -> rows, study "features"

dictionary_fvu   sum |x - x^|^2 / sum |x - mean|^2, by side and `group` of rows: fork, prose, code; null 1: the mean
dictionary_l0    active latents a row, by side and group
latent_auroc     of a `latent` for code at the fork, and direction_auroc, as for a pair's own (`estimates`)
latent_rate      how often it fires in each model's own answers, by strategy (`group`), before, after, change

A dictionary that was fitted to other weights may reconstruct badly: what its latents then do says little, so FVU comes
first. It has one model: before and after are read one by one, and nothing can be exclusive. One of another width, or
at a block that there is not, is refused before anything is sampled, and one of a model that bears no name of the pair
unless `anyway` says that it is meant.
"""

import functools
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from probe.activations.shards import Activations
from probe.checkpoints.pair import Pair
from probe.data import Estimate
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.firing import firing
from probe.dictionaries.exchange.by_name import described, dictionary_named
from probe.dictionaries.exchange.described import Described, check_model, check_place
from probe.dictionaries.pair import Batch
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments.budget import blocks_of, width_at
from probe.experiments.dictionaries import estimates
from probe.experiments.dictionaries.comparisons import written_by
from probe.experiments.dictionaries.readings import WRITERS, Labels, ReadingJob, labels
from probe.experiments.experiment import PairExperiment
from probe.measurements import RowKey, Rows, row_of
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.stats.intervals import clustered_mean, clustered_ratio
from probe.store import Store

BATCH = 1024  # rows at a time: their latents are held dense


@dataclass(frozen=True)
class ForeignFeaturesJob(PairExperiment):
    """The latents of the dictionary called `name` in a pair. BadInput where it is of two models, or of others."""

    pair: Pair
    name: str
    elicitation: Elicitation = CHAIN
    options: SamplingOptions = SAMPLED
    compute: Compute = field(default=Compute(), compare=False)
    anyway: bool = field(default=False, compare=False)  # although the checkpoints bear other names than its model

    def __post_init__(self) -> None:
        assert self.pair.trained  # a base alone is refused before anything is sampled
        about = described(self.name)
        if len(about.models) > 1:
            do = "give one of its sides: `probe dictionary show NAME --saelens FOLDER` writes them"
            raise BadInput(f"a dictionary of {len(about.models)} models", where=self.name, do=do)
        if not self.anyway:
            check_model(about, names_of(self.pair))
        self._check_place(about)

    def _check_place(self, about: Described) -> None:
        for each in self.pair.sides.values():
            check_place(about, width_at(each, about.site), blocks_of(each), each.name)

    @functools.cached_property
    def dictionary(self) -> Dictionary:
        """As it lies there now. BadInput for another width, where its weights alone tell it."""
        found = dictionary_named(self.name)
        self._check_place(Described(self.name, found.models, found.site, found.d))
        return found

    @functools.cached_property
    def digest(self) -> str:
        """sha256 of its tensors, and of what else changes a latent."""
        found, threshold = self.dictionary, getattr(self.dictionary.activation, "threshold", None)
        tensors = [found.W_enc, found.b_enc, found.W_dec, found.b_dec, found.scale, threshold]
        raw = [each.contiguous().numpy(force=True).tobytes() for each in tensors if each is not None]
        about = f"{found.site} {type(found.activation).__name__} {getattr(found.activation, 'k', '')}"
        words = f"{about} {found.centred} {found.normalise}".encode()
        return hashlib.sha256(b"".join([words, *raw])).hexdigest()

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": "features", "dictionary": self.digest} | self.pair.spec

    @property
    def label(self) -> str:
        return f"{self.pair.label} latents of {self.name}"

    @property
    def readings(self) -> tuple[ReadingJob, ...]:
        """Each side over both sides' answers."""
        written = written_by(self.pair, self.elicitation, self.options, self.compute)
        place = str(self.dictionary.site)
        return tuple(ReadingJob(each, written, place, compute=self.compute) for each in self.pair.sides.values())

    @property
    def needs(self) -> tuple[Job, ...]:
        return (*self.readings, *self.readings[0].written)

    @property
    def key(self) -> RowKey:
        """What its rows are about."""
        return self.pair.reward_key("features", self.options.temperature)

    def measure(self, store: Store) -> Rows:
        held = [Activations(store.get(job.recipe).path) for job in self.readings]
        known = labels(held[0], store, self.readings[0].written)
        own = [Own(each, self.dictionary, known, side) for side, each in enumerate(held)]
        found = [each for side in own for each in side.said()]
        found += _latents(own, known)
        return [row_of(self.key, each) for each in found]


def names_of(pair: Pair) -> Iterator[str]:
    """What the checkpoints of a pair are known by: their own names, and those of what they were made from."""
    for each in pair.sides.values():
        yield each.name
        if each.organism:
            yield each.organism.label
        elif each.origin:
            yield each.origin.label


@dataclass(frozen=True, eq=False)
class Own:
    """One side's states over its own answers."""

    held: Activations
    dictionary: Dictionary
    known: Labels
    side: int

    @property
    def rows(self) -> np.ndarray:
        """Their numbers."""
        return np.flatnonzero(self.known.writer == self.side)

    def read(self, rows: np.ndarray) -> Batch:
        """As the dictionary takes them."""
        return self.held.read(str(self.dictionary.site), rows).values[:, None].to(self.dictionary.W_enc)

    def batches(self) -> Iterator[tuple[Batch, np.ndarray]]:
        """All of them, with their numbers."""
        for start in range(0, len(self.rows), BATCH):
            rows = self.rows[start : start + BATCH]
            yield self.read(rows), rows

    def groups(self) -> dict[str, Bool[np.ndarray, "row"]]:
        """Which of `rows` are where."""
        known = self.known[self.rows]
        return {"fork": known.at == 0, "prose": (known.at > 0) & ~known.code, "code": (known.at > 0) & known.code}

    @torch.no_grad()
    def said(self) -> Iterator[Estimate]:
        """How well it says what stands there, and with how many latents."""
        missed, square, active, mean = [], [], [], self._mean()
        for x, _ in self.batches():
            f = self.dictionary.encode(x)
            missed.append((x - self.dictionary.decode(f, x)).square().sum((1, 2)))
            square.append((x - mean).square().sum((1, 2)))
            active.append((f > 0).sum(1))
        columns = [torch.cat(each).double().numpy(force=True) for each in (missed, square, active)]
        problem = self.known.problem[self.rows]
        for group, here in self.groups().items():
            if not here.any():
                continue
            params = {"side": WRITERS[self.side], "group": group}
            error, spread, n_active = (column[here] for column in columns)
            about: dict[str, Any] = {"unit": "ratio", "null": 1.0, "params": params}
            yield clustered_ratio(error, spread, problem[here], name="dictionary_fvu", **about)
            yield clustered_mean(n_active, problem[here], name="dictionary_l0", unit="count", params=params)

    def _mean(self) -> Tensor:
        total = sum((x.double().sum(0) for x, _ in self.batches()), torch.zeros(1, self.dictionary.d).double())
        return (total / len(self.rows)).to(self.dictionary.W_enc)


def _latents(own: list[Own], known: Labels) -> Iterator[Estimate]:
    """What is told of single latents: chosen and told on the base's forks, and how often they fire on either side."""
    before = own[0]
    rows = before.rows[known.at[before.rows] == 0]
    forks = estimates.Forks(before.read(rows), known.code[rows], known.problem[rows])
    if not forks.told_apart:
        return
    fired = torch.zeros(before.dictionary.n_latents, dtype=torch.bool)
    for x, _ in before.batches():
        fired |= (before.dictionary.encode(x) > 0).any(0)
    latents = estimates.code_latents(before.dictionary, forks, fired)
    if not latents:
        return
    yield from estimates.aurocs_of(before.dictionary, forks, latents)
    read = ((one.dictionary.encode(x), rows) for one in own for x, rows in one.batches())
    found = firing((f[:, latents], known.groups[rows], known.problem[rows]) for f, rows in read)
    for each in estimates.rates_of(found, range(len(latents))):
        yield replace(each, params=each.params | {"latent": latents[each.params["latent"]]})
