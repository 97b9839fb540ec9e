"""What share of problems would k samples solve? pass@k for k = 1, 2, 4, ... up to the samples of every problem.

    mean over problems of 1 - C(n-c, k) / C(n, k),   n samples of a problem, c of them right          (2107.03374)

The curves of base and RL model may cross (2504.13837): `k` has a column, so the change at large k is its own estimate.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from probe.data import Estimate
from probe.measures import PairData, measures
from probe.measures._estimates import SIDES
from probe.measures._pairing import Paired, paired
from probe.stats import clustered_mean, pass_at_k


@measures.register("pass_at_k")
@dataclass(frozen=True)
class PassAtK:
    """`pass_at_k`, three sides, by `k`; null 0 for the change. n counts responses."""

    needs: ClassVar[frozenset[str]] = frozenset({"responses"})

    def __call__(self, data: PairData) -> list[Estimate]:
        pair = paired(data)
        samples = np.bincount(pair.problem)
        ks = 2 ** np.arange(int(samples.min()).bit_length())
        return [estimate for k in ks.tolist() for estimate in at_k(k, samples, pair)]


def at_k(k: int, samples: np.ndarray, pair: Paired, name: str = "pass_at_k") -> list[Estimate]:
    """pass@k of both sides and its change."""
    right = [np.bincount(pair.problem, side.right).astype(int) for side in (pair.before, pair.after)]
    before, after = (np.asarray(pass_at_k(samples, c, k)) for c in right)
    problems, estimates = np.arange(pair.n_problems), []
    for side, values in zip((*SIDES, "change"), (before, after, after - before), strict=True):
        null, bounds = (0.0, (-1.0, 1.0)) if side == "change" else (None, (0.0, 1.0))
        params = {"side": side, "k": k}
        estimates.append(clustered_mean(values, problems, name=name, null=null, bounds=bounds, params=params))
    return [replace(estimate, n=pair.problem.size) for estimate in estimates]
