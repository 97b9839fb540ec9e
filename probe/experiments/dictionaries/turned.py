"""Which latents tell code from prose in a pair, how far is each turned, and what is turned beside them?

    ranking      live latents by |AUROC - .5| for code at the fork, on the base's own answers to the half that chooses,
                 but those that tell nothing (most never fire there)
    level_j      mean activation when active, at the forks that went on as it says (never there: anywhere)
    set at d     latents of code (AUROC > .5) clamped to max(d, 0) level, those of prose to max(-d, 0) level

So d = 0 ablates the whole set, d > 0 turns code up and prose off, d < 0 the other way round. Beside a set:

    matched      other live latents in its members' places, each as near as can be in level x |decoder direction|
    redirected   the set itself, clamped as ever, writing along random directions of equal norm
    difference   the base's mean state before code - before prose, and `logistic`, a probe's direction: added, as far as
                 the set moves a state on average

Left out: latents that are chosen by their effect (`minimal`), and levels that differ between texts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.activations.linear import KINDS, fit
from probe.activations.shards import Activations
from probe.dictionaries.audits.controls import redirected
from probe.dictionaries.audits.matched import MatchedSets, matched_sets
from probe.dictionaries.causes.edits import ClampLatents, stand_alone
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.firing import firing
from probe.dictionaries.diffing.ranking import aurocs
from probe.dictionaries.pair import BEFORE, directions
from probe.errors import BadInput
from probe.experiments.dictionaries.comparisons import RL, Comparisons
from probe.experiments.dictionaries.estimates import code_latents, forks_of
from probe.experiments.dictionaries.fit_job import BEFORE_AFTER, dictionary_of
from probe.experiments.dictionaries.readings import labels
from probe.models.hooks.edits import Add, Change
from probe.store import Store

BATCH = 4096  # rows at a time
SET, MATCHED, REDIRECTED = "latents", "matched", "redirected"


@dataclass(frozen=True)
class Arm:
    """One way to turn: what (`how`), how many latents at most, the dose, and of random ones which draw, from 1."""

    how: str
    k: int
    dose: float
    draw: int = 0


PLAIN = Arm("plain", 0, 0.0)


@dataclass(frozen=True, eq=False)
class Turnable:
    """What can be turned in one model of a pair: its own dictionary, and what the base's forks say of the latents."""

    dictionary: Dictionary  # of the pair
    model: str
    ranking: tuple[int, ...]
    of_code: Bool[np.ndarray, "latent"]
    level: Float[np.ndarray, "latent"]  # nan for one that never fires
    states: Float[Tensor, "row d"]  # of the model, at the forks of the choosing half
    lines: dict[str, Float[Tensor, "d"]]  # unit directions towards code, of the base

    def change(
        self, latents: Sequence[int], dose: float, places: Sequence[int] = (), own: Dictionary | None = None
    ) -> Change:
        """`latents` turned by `dose`, each as the one in whose place it stands; `own`: in another dictionary."""
        signs = [dose if self.of_code[place] else -dose for place in places or latents]
        levels = self.level[list(latents)].tolist()
        values = tuple(max(sign, 0.0) * level for sign, level in zip(signs, levels, strict=True))
        return ClampLatents(stand_alone(own or self.dictionary, self.model), tuple(latents), values)

    def moved(self, change: Change) -> float:
        """How far it moves a state, on average."""
        x = self.states[None]
        return float((change(x) - x).norm(dim=-1).mean())

    def matched(self, latents: Sequence[int], n: int) -> MatchedSets:
        """`n` sets in their place. BadInput where too few others are live."""
        norm = directions(self.dictionary, self.model).norm(dim=-1).numpy(force=True)
        return matched_sets(np.nan_to_num(self.level * norm), latents, ("latent doses", len(latents)), n)


def turnable(store: Store, comparisons: Comparisons, side: str) -> Turnable:
    """Of the pair's own dictionary, which must have been made.

    BadInput where the base writes in one strategy alone, or no latent tells one from the other.
    """
    job = comparisons.dictionaries[RL]
    dictionary, source = dictionary_of(store, job), job.source(store)
    known = labels(Activations(store.get(comparisons.before.recipe).path), store, comparisons.written)
    forks = forks_of(source, known)
    if not forks.told_apart:
        do = "take a base that uses both strategies: one that has only one has no latent between them"
        raise BadInput("answers go on in one strategy alone", where=comparisons.pair.before.name, do=do)
    batches = (np.arange(at, min(at + BATCH, len(source))) for at in range(0, len(source), BATCH))
    anywhere = firing((dictionary.encode(source.read(rows)), known.code[rows], known.problem[rows]) for rows in batches)
    live = torch.from_numpy(anywhere.fired.sum((0, 1)) > 0)
    ranking = code_latents(dictionary, forks, live, dictionary.n_latents)
    if not ranking:
        do = "fit a larger dictionary, or read another site"
        raise BadInput("no latent tells code from prose", where=comparisons.pair.before.name, do=do)
    half = forks.chosen
    x, code = forks.x[torch.from_numpy(half)], forks.code[half]
    f = dictionary.encode(x)
    base = x[:, BEFORE].double().numpy(force=True)
    of_code = aurocs(f, code) > 0.5
    total, fired = anywhere.total.sum((0, 1)), anywhere.fired.sum((0, 1))
    by_strategy = [_level(f[torch.from_numpy(code == is_code)], total, fired) for is_code in (True, False)]
    return Turnable(
        dictionary,
        dictionary.models[BEFORE_AFTER.index(side)],
        tuple(ranking),
        of_code,
        np.where(of_code, *by_strategy),
        x[:, BEFORE_AFTER.index(side)],
        {kind: _unit(fit(kind, base, code.astype(float)).weight) for kind in KINDS},
    )


def _level(f: Float[Tensor, "row latent"], total: np.ndarray, fired: np.ndarray) -> Float[np.ndarray, "latent"]:
    """Mean when active in `f`; where a latent is never active there, `total` / `fired`."""
    here, count = f.double().sum(0).numpy(force=True), (f > 0).sum(0).numpy(force=True)
    top, bottom = np.where(count > 0, here, total), np.where(count > 0, count, fired)
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)


def _unit(weight: np.ndarray) -> Float[Tensor, "d"]:
    return torch.from_numpy(weight / np.linalg.norm(weight)).float()


def arms(of: Turnable, sizes: Sequence[int], doses: Sequence[float], draws: int) -> Iterator[tuple[Arm, Change | None]]:
    """Every way to turn: nothing at all; the best latents at each size and dose with directions of the same norm beside
    them; at the largest size and strongest dose random ones."""
    yield PLAIN, None
    for k in sizes:
        for dose in doses:
            change = of.change(of.ranking[:k], dose)
            yield Arm(SET, k, dose), change
            for kind, line in of.lines.items() if dose else ():
                yield Arm(kind, k, dose), Add(line, float(np.sign(dose)) * of.moved(change))
    k, dose = max(sizes), max(doses)
    best = of.ranking[:k]
    for draw, latents in enumerate(of.matched(best, draws).latents.tolist(), start=1):
        yield Arm(MATCHED, k, dose, draw), of.change(latents, dose, best)
    for draw in range(1, draws + 1):
        own = redirected(of.dictionary, best, "latent doses", draw)
        yield Arm(REDIRECTED, k, dose, draw), of.change(best, dose, own=own)
