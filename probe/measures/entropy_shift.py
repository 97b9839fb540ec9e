"""Did training make the model surer, and where? Mean token entropy of the same text under before and after.

    entropy_shift = mean_t H_t, nats, over all tokens of the after text, over the before model's forks, and elsewhere

Forks are chosen by the before model's entropy, so at them that entropy is high partly by chance, and any perturbation
seems to lower it there and raise it elsewhere (regression to the mean). With D_b the change at the before model's
forks and D_a that at the after model's, swapping the sides turns D_b into -D_a: what two exchangeable checkpoints show
is (D_b - D_a)/2. That is the `null` at "forks" and "elsewhere", and p tests (D_b + D_a)/2 = 0. Over all tokens: null 0.
Source: 2506.01939 (forks), 2512.16912 (entropy compression). Left out: entropy on the before model's own text.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from probe.data import Estimate
from probe.measures import PairData, measures
from probe.measures._estimates import SIDES, token_mean
from probe.measures._pairing import Scored, scored
from probe.tokens.forks import QUANTILE, forks


@measures.register("entropy_shift")
@dataclass(frozen=True)
class EntropyShift:
    """`entropy_shift`, three sides, group "all", "forks" or "elsewhere". n counts tokens."""

    quantile: float = QUANTILE
    needs: ClassVar[frozenset[str]] = frozenset({"tokens"})

    def __call__(self, data: PairData) -> list[Estimate]:
        tokens = scored(data)
        before, after = forks(tokens.before, self.quantile), forks(tokens.after, self.quantile)
        everywhere = np.ones_like(before)
        masks = {"all": (everywhere, everywhere), "forks": (before, after), "elsewhere": (~before, ~after)}
        return [
            found for group, (mine, theirs) in masks.items() if mine.any() for found in _at(group, mine, theirs, tokens)
        ]


def _at(group: str, mine: np.ndarray, theirs: np.ndarray, tokens: Scored) -> list[Estimate]:
    """`mine`: the tokens measured, chosen by the before model; `theirs`: as many, chosen by the after model."""
    clusters, found = (tokens.problem, tokens.n_problems), []
    for side, entropy in zip(SIDES, (tokens.before, tokens.after), strict=True):
        told = {"side": side, "group": group}
        found.append(token_mean(entropy, mine, clusters, name="entropy_shift", unit="nats", params=told))
    change, told = tokens.after - tokens.before, {"side": "change", "group": group}
    moved = token_mean(change, mine, clusters, name="entropy_shift", unit="nats", null=0.0, params=told)
    fair = token_mean(change, mine.astype(float) + theirs, clusters, name="fair", unit="nats", null=0.0)
    return [*found, replace(moved, null=moved.value - fair.value, p=fair.p)]
