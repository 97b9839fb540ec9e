"""What do the dictionaries of a pair say, beside those in which nothing should be new?

exclusive_latents   share of live latents that one `side` alone has, genuine by latent scaling, by comparison (`part`)
exclusive_verdict   1 where the pair's are beyond those of every null, else 0; `reason` says which is not
shared_latents      share of live latents with relative norm in .4 to .6, by comparison
relative_norm       share of live latents in each `bin` of the relative norm, by comparison
change_share        of the change over the same texts, by kind of latent (`cell`: `change_parts`) and comparison
dictionary_fvu      by `side` and comparison, on rows that were held out; null: their mean
dictionary_l0       active latents a row
dictionary_dead     share of latents that never fire, without an interval: problems that are drawn again show no latent
                    that they did not show before
stable_latents      share of live latents that another dictionary seed finds (cosine >= .7); latent_cosine: mean best
                    cosine, `cell` found, and of random directions (chance), without an interval
latent_auroc        of a `latent` for code at the fork, on the half of the problems that it was not chosen on;
                    direction_auroc: of the difference of means of the base's states, fitted on the half that chose
best_auroc          the same of the best latent of every comparison and control, chosen and told alike
latent_asked_alike  correlation over rows of what each model asks of a latent
latent_rate         how often it fires in each model's own answers, by strategy (`group`), before, after, change

What is told of rows has intervals clustered by problem. Shares of latents (exclusive, shared, stable, relative_norm)
have Wilson's over latents, as if these were independent, which latents of one fit are not: they say how coarse a share
of so few is, not what another fit gives. There the replicates are dictionary seeds, of which a verdict needs all, and
bases, over which figures take their intervals.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from probe.activations.linear import fit
from probe.data import Estimate
from probe.dictionaries.audits.exclusives import Exclusives, judged
from probe.dictionaries.audits.stability import matches
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.change_parts import change_parts, kinds
from probe.dictionaries.diffing.firing import Firing, changes
from probe.dictionaries.diffing.latent_scaling import Scaling
from probe.dictionaries.diffing.norms import SHARED, relative_norm
from probe.dictionaries.diffing.ranking import aurocs, by_auroc, strongest
from probe.dictionaries.diffing.sameness import asked_alike
from probe.dictionaries.fitting.health import told
from probe.dictionaries.fitting.stream import Source
from probe.dictionaries.pair import BEFORE, Batch
from probe.experiments.dictionaries.comparisons import NULLS, RL, SEED
from probe.experiments.dictionaries.readings import STRATEGIES, WRITERS, Labels
from probe.interventions.steering import part_of
from probe.stats.intervals import clustered_mean, clustered_ratio, wilson
from probe.stats.ranking import clustered_auroc

BINS = 20  # of the relative norm
TOP = 10  # latents that are told one by one
Read = tuple[Batch, np.ndarray]  # rows, and the problem of each


def norms_of(name: str, dictionary: Dictionary, live: Bool[Tensor, "latent"]) -> Iterator[Estimate]:
    """The relative norms of one comparison."""
    r = relative_norm(dictionary)[live].numpy(force=True)
    n = len(r)
    counts, edges = np.histogram(r, bins=BINS, range=(0.0, 1.0))
    for count, edge in zip(counts.tolist(), edges.tolist(), strict=False):
        limits = wilson(count, n)
        yield Estimate("relative_norm", count / n, *limits, n, n, params={"part": name, "bin": round(edge, 6)})
    shared = int(((SHARED[0] <= r) & (r <= SHARED[1])).sum())
    yield Estimate("shared_latents", shared / n, *wilson(shared, n), n, n, params={"part": name})


def exclusives_of(found: Mapping[str, Exclusives]) -> Iterator[Estimate]:
    """Of every comparison, and the verdict on the pair's."""
    for name, one in found.items():
        for side in ("before", "after"):
            rate = one.rate(side)
            yield replace(rate, params={"side": side, "part": name})
    nulls = {name: found[name] for name in NULLS if name in found}
    again = [found[SEED]] if SEED in found else []
    for side in ("before", "after"):
        verdict = judged(found[RL], nulls, side, again)
        value = float(verdict.beyond)
        params = {"side": side, "part": RL, "reason": str(verdict)}
        yield Estimate("exclusive_verdict", value, value, value, found[RL].live, found[RL].live, "none", params=params)


def stability_of(first: Dictionary, again: Dictionary, live: Bool[Tensor, "latent"], seed: int) -> Iterator[Estimate]:
    """Of the pair's dictionary over dictionary seeds; beside it, what random directions of that number would score."""
    found, n = matches(first, again, ("features", seed), live=live), int(live.sum())
    value = found.share()
    limits, none = wilson(round(value * n), n), float("nan")
    yield Estimate("stable_latents", value, *limits, n, n, null=0.0, params={"part": SEED})
    for name, mean in (("found", found.mean), ("chance", found.chance)):
        yield Estimate("latent_cosine", mean, none, none, n, n, "none", params={"part": SEED, "cell": name})


def health_of(
    name: str, dictionary: Dictionary, held: Sequence[Batch], problems: Sequence[np.ndarray]
) -> Iterator[Estimate]:
    """FVU, L0 and dead latents of one dictionary on its held rows, clustered by `problems`: of each row, a model.

    Where the models' rows are of different problems (halves), L0 has the wider of the two intervals.
    """
    found, none, n = told(dictionary, held), float("nan"), dictionary.n_latents
    for m, side in enumerate(dictionary.models):
        about: dict[str, Any] = {"unit": "ratio", "null": 1.0, "params": {"side": side, "part": name}}
        yield clustered_ratio(found.missed[:, m], found.spread[:, m], problems[m], name="dictionary_fvu", **about)
    about = {"unit": "count", "params": {"part": name}}
    every = [clustered_mean(found.active, each, name="dictionary_l0", **about) for each in problems]
    yield max(every, key=lambda each: each.hi - each.lo)
    yield Estimate("dictionary_dead", found.dead, none, none, n, n, params={"part": name})


def shares_of(name: str, dictionary: Dictionary, scaling: Scaling, batches: Iterable[Read]) -> Iterator[Estimate]:
    """What carries the change of one comparison, over the texts of both."""
    for one in change_parts(dictionary, kinds(dictionary, scaling), batches).shares():
        yield replace(one, params={"cell": one.params["part"], "part": name})


@dataclass(frozen=True, eq=False)
class Forks:
    """Rows at the forks of the base's own answers: both models' states, and whether code followed."""

    x: Batch
    code: Bool[np.ndarray, "row"]
    problem: np.ndarray

    @property
    def chosen(self) -> Bool[np.ndarray, "row"]:
        """The half of the problems on which latents are chosen; the others are told."""
        return np.array([part_of(name) == "choose" for name in self.problem.tolist()])

    @property
    def told_apart(self) -> bool:
        """Whether both halves hold both strategies; one alone is told from nothing."""
        return all(np.unique(self.code[half]).size == 2 for half in (self.chosen, ~self.chosen))


def forks_of(source: Source, known: Labels) -> Forks:
    """Those of the base's own answers."""
    rows = np.flatnonzero((known.writer == 0) & (known.at == 0))
    return Forks(source.read(rows), known.code[rows], known.problem[rows])


def code_latents(dictionary: Dictionary, forks: Forks, live: Bool[Tensor, "latent"], top: int = TOP) -> list[int]:
    """At most `top` live latents that best tell code from prose at the fork, on the half that is not told.

    None that tells nothing at all: few of a dictionary's latents ever fire at the fork.
    """
    half = forks.chosen
    tells = np.abs(aurocs(dictionary.encode(forks.x[torch.from_numpy(half)]), forks.code[half]) - 0.5)
    tells[~live.numpy(force=True)] = np.nan
    return [latent for latent in strongest(tells, top) if tells[latent] > 0]


def aurocs_of(dictionary: Dictionary, forks: Forks, latents: Sequence[int]) -> Iterator[Estimate]:
    """Those latents on the other half, beside the difference of means of the same half: the cheapest probe."""
    half = forks.chosen
    f = dictionary.encode(forks.x[torch.from_numpy(~half)])
    for each in by_auroc(f, forks.code[~half], forks.problem[~half], latents):
        params = {"target": "strategy", "latent": each.latent}
        yield replace(each.estimate, name="latent_auroc", params=params, p=each.holm)
    x = forks.x[:, BEFORE].double().numpy(force=True)
    line = fit("difference", x[half], forks.code[half].astype(float))
    scores = (line(x[~half]), forks.code[~half].astype(float), forks.problem[~half])
    yield replace(clustered_auroc(*scores, name="direction_auroc"), params={"target": "strategy"})


def best_auroc(name: str, dictionary: Dictionary, forks: Forks, live: Bool[Tensor, "latent"]) -> Estimate:
    """Of the latent that tells code best on one half, on the other: of any comparison, the controls too."""
    best, half = code_latents(dictionary, forks, live)[:1], forks.chosen
    if not best:
        none, n, n_problems = (float("nan"),) * 3, int((~half).sum()), len(np.unique(forks.problem[~half]))
        about = {"target": "strategy", "part": name, "reason": "no latent fires at the fork"}
        return Estimate("best_auroc", *none, n, n_problems, params=about)
    f = dictionary.encode(forks.x[torch.from_numpy(~half)])
    (one,) = by_auroc(f, forks.code[~half], forks.problem[~half], best)
    return replace(one.estimate, name="best_auroc", params={"target": "strategy", "part": name, "latent": best[0]})


def samenesses_of(
    dictionary: Dictionary, batches: Iterable[Read], latents: Sequence[int], seed: int
) -> Iterator[Estimate]:
    """Do both models ask for a latent in the same rows? Correlation over rows, of the latents told one by one."""
    found = asked_alike(dictionary, batches, latents, ("asked alike", seed))
    for latent, each in zip(latents, found, strict=True):
        yield replace(each, name="latent_asked_alike", params={"latent": latent})


def rates_of(found: Firing, latents: Sequence[int]) -> Iterator[Estimate]:
    """How often each fires in either model's own answers, by strategy."""
    for strategy in STRATEGIES:
        groups = f"before/{strategy}", f"after/{strategy}"
        if not set(groups) <= set(found.groups):
            continue  # nobody wrote it any more, or ever
        for each in changes(found, *groups, latents=latents):
            params = {"latent": each.latent, "group": strategy}
            yield replace(each.estimate, name="latent_rate", params=params | {"side": "change"}, p=each.holm)
            for side, group in zip(WRITERS, groups, strict=True):
                top, rows = (part[:, each.latent] for part in found.parts(group, "rate"))
                one = clustered_ratio(top, rows, np.array(found.problems), name="latent_rate")
                yield replace(one, n=int(rows.sum()), params=params | {"side": side})
