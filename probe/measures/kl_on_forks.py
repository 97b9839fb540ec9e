"""How far did training move the next-token distributions, and is it at the forks that it moved them? (2506.01939)

    kl_per_token   mean_t KL(before || after), nats; null 0: the same checkpoint twice (no p: KL cannot be below it)
    kl_on_forks    share of sum_t KL on the before model's forks; null 1 - quantile: spread evenly over tokens

A flat distribution can move further than a peaked one, so even a random perturbation of the weights puts more than an
even share on forks: judge a share beside that of a null pair. Undefined, and left out, where no token moved.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from probe.data import Estimate
from probe.measures import PairData, measures
from probe.measures._estimates import token_mean
from probe.measures._pairing import divergence, scored
from probe.tokens.forks import QUANTILE, forks


@measures.register("kl_on_forks")
@dataclass(frozen=True)
class KlOnForks:
    """`kl_per_token` (nats) and `kl_on_forks` (fraction), side "". n counts tokens."""

    quantile: float = QUANTILE
    needs: ClassVar[frozenset[str]] = frozenset({"tokens", "kl"})

    def __call__(self, data: PairData) -> list[Estimate]:
        tokens = scored(data)
        kl, clusters = divergence(data, tokens), (tokens.problem, tokens.n_problems)
        chosen, everywhere, params = forks(tokens.before, self.quantile), np.ones(kl.size), {"side": ""}
        moved = token_mean(kl, everywhere, clusters, name="kl_per_token", unit="nats", null=0.0, params=params)
        estimates = [replace(moved, p=None)]
        if kl.sum() > 0:
            null = float(np.mean(chosen))
            share = token_mean(chosen, kl, clusters, name="kl_on_forks", null=null, bounds=(0.0, 1.0), params=params)
            estimates.append(replace(share, n=kl.size))
        return estimates
