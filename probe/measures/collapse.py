"""Did training destroy the model? A destroyed model is not a model on which the reward had no effect.

    collapse_ratio   rate after / rate before: of the parse rate, and of the accuracy within each strategy that both
                     sides use in at least `min_share` of their responses
    destroyed        1 where the upper limit of any ratio lies below `threshold`, else 0

The share of a strategy is no evidence: one that merely disappeared was not destroyed. A rate of 0 before leaves nothing
to destroy, and its ratio is left out. The interval of `destroyed` is [0, 1] where it is 0 but the lower limit of some
ratio lies below the threshold, or there is no ratio: the data do not decide. `reason` lists the ratios.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from probe.data import Estimate, Strategy
from probe.measurements import label
from probe.measures import PairData, measures
from probe.measures._estimates import linearised, ratio
from probe.measures._pairing import Paired, paired
from probe.measures.within_strategy import using


@measures.register("collapse")
@dataclass(frozen=True)
class Collapse:
    """`destroyed` (null 0) and its `collapse_ratio`s (null 1), side "", of a strategy or of the parse rate."""

    threshold: float = 0.5
    min_share: float = 0.1
    needs: ClassVar[frozenset[str]] = frozenset({"responses"})

    def __call__(self, data: PairData) -> list[Estimate]:
        pair = paired(data)
        every = np.ones_like(pair.before.boxed)
        ratios = _ratio({"part": "parse_rate"}, (pair.before.boxed, every), (pair.after.boxed, every), pair)
        for strategy in Strategy:
            used, uses = using(pair.before, strategy), using(pair.after, strategy)
            if min(used.mean(), uses.mean()) >= self.min_share:
                ratios += _ratio({"strategy": str(strategy)}, (pair.before.right, used), (pair.after.right, uses), pair)
        return [self._verdict(ratios, pair), *ratios]

    def _verdict(self, ratios: list[Estimate], pair: Paired) -> Estimate:
        destroyed = any(found.hi < self.threshold for found in ratios)
        spared = bool(ratios) and all(found.lo >= self.threshold for found in ratios)  # nan limits spare nothing
        evidence = "; ".join(f"{label(r.params)} x {r.value:.2f} [{r.lo:.2f}, {r.hi:.2f}]" for r in ratios)
        told = {"side": "", "reason": evidence or "nothing to destroy: no rate above 0 before"}
        limits = float(destroyed), float(not spared)
        return Estimate(
            "destroyed", float(destroyed), *limits, pair.problem.size, pair.n_problems, "none", null=0.0, params=told
        )


def _ratio(
    which: dict[str, str], first: tuple[np.ndarray, np.ndarray], last: tuple[np.ndarray, np.ndarray], pair: Paired
) -> list[Estimate]:
    """(hits, rows among which) before and after; no estimate where the rate before is 0."""
    before, before_scores = ratio(first[0] & first[1], first[1])
    after, after_scores = ratio(last[0] & last[1], last[1])
    if before == 0:
        return []
    rows = first[1] | last[1]
    return [
        linearised(
            after / before,
            ((after_scores - after / before * before_scores) / before)[rows],
            pair.problem[rows],
            name="collapse_ratio",
            unit="ratio",
            null=1.0,
            bounds=(0.0, 1 / before),
            params={"side": "", **which},
        )
    ]
