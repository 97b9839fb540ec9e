"""What is looked at token by token, and what stands beside it to which nothing was fitted?

    latents      of the pair's dictionary, those that have cards: best at telling code first (`FeaturesJob`)
    untrained    the latent that tells code best in a dictionary of random directions, chosen alike: null of the latents
    direction    score(x) = ((x - m) . w) / |w|^2,  w = mean of code - mean of prose, m half way between, of the base's
                 states at the forks that chose the latents: 0 half way, .5 at the mean of code, -.5 at that of prose
    random       the same with a random direction as long as w: null of the direction

A latent of a crosscoder has one value, from both models' states; a direction has one in each model. Rows of either are
those of a latent's card (`dictionaries.cards`), so that the two can be laid side by side: "fires" means above 0, in the
states of the model that wrote the answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.activations.linear import fit
from probe.data import Estimate
from probe.dictionaries.audits.controls import random_directions
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.firing import firing
from probe.dictionaries.pair import BEFORE, Batch
from probe.experiments.dictionaries.cards import Said, card_logits, histogram_of, logits_of
from probe.experiments.dictionaries.estimates import Forks, code_latents, forks_of, rates_of
from probe.experiments.dictionaries.fit_job import BEFORE_AFTER
from probe.experiments.dictionaries.job import Part
from probe.experiments.dictionaries.readings import Labels
from probe.models.loading.loaded import Loaded
from probe.stats.ranking import clustered_auroc

LATENT, UNTRAINED, DIRECTION, RANDOM = "latent", "untrained", "direction", "random"
Columns = dict[str, Float[np.ndarray, "row"]]


@dataclass(frozen=True, eq=False)
class Line:
    """A direction in the residual stream and the point where its score is 0."""

    w: Float[Tensor, "d"]
    middle: Float[Tensor, "d"]

    def __call__(self, x: Float[Tensor, "row model d"]) -> Float[Tensor, "row model"]:
        return (x.double() - self.middle) @ self.w / self.w.square().sum()


@dataclass(frozen=True, eq=False)
class Shown:
    """What has columns: latents, the untrained dictionary and its latent, directions by name."""

    dictionary: Dictionary
    latents: tuple[int, ...]
    untrained: tuple[Dictionary, int] | None
    lines: dict[str, Line]

    def columns(self, x: Batch) -> Columns:
        """Values of rows [row model d] by name: "latent:7", "untrained:3", "direction:before", ..."""
        found = {f"{LATENT}:{j}": column for j, column in zip(self.latents, self._encoded(x), strict=True)}
        if self.untrained:
            other, j = self.untrained
            found[f"{UNTRAINED}:{j}"] = other.encode(x)[:, j].numpy(force=True)
        for name, line in self.lines.items():
            scores = line(x).numpy(force=True)
            found |= {f"{name}:{side}": scores[:, place] for place, side in enumerate(BEFORE_AFTER)}
        return found

    def _encoded(self, x: Batch) -> Float[np.ndarray, "latent row"]:
        return self.dictionary.encode(x)[:, list(self.latents)].numpy(force=True).T


def shown_of(own: Part, known: Labels, latents: Sequence[int], k: float, seed: int) -> Shown:
    """Of a pair's dictionary; nothing but the latents where the base writes in one strategy alone."""
    forks = forks_of(own.source, known)
    if not forks.told_apart:
        return Shown(own.dictionary, tuple(latents), None, {})
    part = own.untrained(k, seed)
    best = code_latents(part.dictionary, forks, part.live)[:1]
    return Shown(own.dictionary, tuple(latents), (part.dictionary, best[0]) if best else None, _lines(forks, seed))


def _lines(forks: Forks, seed: int) -> dict[str, Line]:
    """Towards code, and anywhere, from the same point."""
    half = forks.chosen
    x = forks.x[torch.from_numpy(half)][:, BEFORE].double()
    code = torch.from_numpy(forks.code[half])
    w = torch.from_numpy(fit("difference", x.numpy(force=True), forks.code[half].astype(float)).weight)
    middle = (x[code].mean(0) + x[~code].mean(0)) / 2
    drawn = random_directions(1, len(w), ("cards", seed), float(w.norm()))[0].double()
    return {DIRECTION: Line(w, middle), RANDOM: Line(drawn, middle)}


def rows_beside(
    shown: Shown, own: Part, known: Labels, models: Sequence[Loaded], said: Said, seed: int
) -> Iterator[tuple[str, list[Estimate]]]:
    """By what they are of: the rows of a card of everything but the pair's latents, which have theirs."""
    parts = [shown.columns(x) for x, _ in own.batches()]
    values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    resid = shown.dictionary.site.kind == "resid"
    if shown.untrained:
        dictionary, j = shown.untrained
        rows = list(_rows(values[f"{UNTRAINED}:{j}"], known))
        yield UNTRAINED, rows + (list(card_logits(dictionary, j, models, said, seed)) if resid else [])
    for name, line in shown.lines.items():
        sides = [values[f"{name}:{side}"] for side in BEFORE_AFTER]
        rows = list(_rows(np.where(known.writer == 0, *sides), known, float(min(each.min() for each in sides))))
        lines = [line.w.float()] * len(models)
        yield name, rows + (list(logits_of(lines, models, BEFORE_AFTER, said, (name, seed))) if resid else [])


def _rows(values: np.ndarray, known: Labels, lowest: float = 0.0) -> Iterator[Estimate]:
    """Of one column over all rows of a reading."""
    forks = np.flatnonzero((known.writer == 0) & (known.at == 0))
    told = forks[~Forks(torch.zeros(0), known.code[forks], known.problem[forks]).chosen]
    yield clustered_auroc(values[told], known.code[told], known.problem[told], name="latent_auroc")
    yield from histogram_of(values, known, lowest)
    yield from rates_of(firing([(torch.from_numpy(values)[:, None], known.groups, known.problem)]), [0])
