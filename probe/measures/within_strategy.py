"""Is the model better at each strategy, or does it only choose the better one more often?

    accuracy given code  = right and code / code,    likewise prose;    change = after - before

H1 of 2506.10947 says: shares move, these do not. A strategy is chosen per problem, so the two sides are taken over
different responses: a change may also mean that easier problems came to use it. The change is reported where both
sides have at least `min_share` of their responses in the strategy, a side where two problems use it at all.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from probe.data import Estimate, Strategy
from probe.measures import PairData, measures
from probe.measures._estimates import SIDES, linearised, ratio
from probe.measures._pairing import Paired, Side, paired
from probe.stats import clustered_ratio


@measures.register("within_strategy")
@dataclass(frozen=True)
class WithinStrategy:
    """`within_strategy`, three sides, strategy "code" or "prose"; null 0 for the change. n: responses in the strategy
    (change: pairs with it on either side)."""

    min_share: float = 0.05
    needs: ClassVar[frozenset[str]] = frozenset({"responses"})

    def __call__(self, data: PairData) -> list[Estimate]:
        pair = paired(data)
        return [estimate for strategy in Strategy for estimate in self._of(strategy, pair)]

    def _of(self, strategy: Strategy, pair: Paired) -> list[Estimate]:
        uses = [using(side, strategy) for side in (pair.before, pair.after)]
        found = []
        for name, side, used in zip(SIDES, (pair.before, pair.after), uses, strict=True):
            told = {"side": name, "strategy": str(strategy)}
            found.append(clustered_ratio(side.right & used, used, pair.problem, name="within_strategy", params=told))
        if min(used.mean() for used in uses) >= self.min_share:
            found.append(_change(strategy, uses, pair))
        return [estimate for estimate in found if np.isfinite(estimate.lo)]


def using(side: Side, strategy: Strategy) -> np.ndarray:
    """Which responses `[row]` are in this strategy."""
    return side.code if strategy is Strategy.code else ~side.code


def _change(strategy: Strategy, uses: list[np.ndarray], pair: Paired) -> Estimate:
    before, before_scores = ratio(pair.before.right & uses[0], uses[0])
    after, after_scores = ratio(pair.after.right & uses[1], uses[1])
    rows = uses[0] | uses[1]
    return linearised(
        after - before,
        (after_scores - before_scores)[rows],
        pair.problem[rows],
        name="within_strategy",
        null=0.0,
        bounds=(-1.0, 1.0),
        params={"side": "change", "strategy": str(strategy)},
    )
