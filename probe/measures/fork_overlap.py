"""Are the forks of the trained model those of its base? Share of after's forks that were forks before (2506.01939).

Both teacher-forced on the after text. Chance for unrelated entropies is 1 - quantile, the `null`; the same checkpoint
twice gives 1, and two models of the same language far more than chance: judge a value beside that of a null pair. The
published values fall from 100 to 86.67 % over training.
Forks are those of the whole text; the interval is over problems and does not move the thresholds.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from probe.data import Estimate
from probe.measures import PairData, measures
from probe.measures._estimates import token_mean
from probe.measures._pairing import scored
from probe.tokens.forks import QUANTILE, forks


@measures.register("fork_overlap")
@dataclass(frozen=True)
class ForkOverlap:
    """`fork_overlap`, side ""; null 1 - quantile. n counts after's forks."""

    quantile: float = QUANTILE
    needs: ClassVar[frozenset[str]] = frozenset({"tokens"})

    def __call__(self, data: PairData) -> list[Estimate]:
        tokens = scored(data)
        before, after = forks(tokens.before, self.quantile), forks(tokens.after, self.quantile)
        clusters = (tokens.problem, tokens.n_problems)
        told = {"side": "", "quantile": self.quantile}
        null = float(np.mean(before))
        return [token_mean(before, after, clusters, name="fork_overlap", null=null, bounds=(0.0, 1.0), params=told)]
