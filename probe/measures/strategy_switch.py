"""How much of the gain comes from responses that changed strategy? (2506.10947, Table 2; C code, L language)

    switch_share          share of pairs in each cell CC, CL, LC, LL (before -> after)
    switch_gain           accuracy the cell adds, and all: 100 sum_{x in d} (right_after - right_before) / N, points
    switch_contribution   C_d = gain of the cell / total gain, a fraction

Switching pays even when nothing happened: if code is the better strategy, the responses that happen to go over to it
gain, and those that happen to leave it lose as much. Swapping the sides turns the gain of LC into minus that of CL, so
the `null` of either is minus the other, and p of both tests LC + CL = 0. CC, LL and total: null 0. C_d has no null:
read it beside that of a null pair.

A problem's samples are paired by their number, which is arbitrary above temperature 0: with several samples per problem
the cells also hold the luck of the draw. C_d divides by the total gain, so it has a bounded confidence set only where
that gain differs from 0 (Fieller 1954): C_d is left out where the total's interval holds 0, and `switch_gain` remains.
A cell is chosen by what the model did: an account, not an effect.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from probe.data import Estimate, Strategy
from probe.measures import PairData, measures
from probe.measures._pairing import Paired, Side, paired
from probe.stats import clustered_mean, switch_estimates

TRAFFIC = ("CL", "LC")


@measures.register("strategy_switch")
@dataclass(frozen=True)
class StrategySwitch:
    """`switch_gain` (side "change", in points), `switch_share` and `switch_contribution` (side ""), by `cell`,
    "total" beside them for the gain."""

    n_boot: int = 500
    needs: ClassVar[frozenset[str]] = frozenset({"responses"})

    def __call__(self, data: PairData) -> list[Estimate]:
        pair = paired(data)
        first, last = pair.before.right, pair.after.right
        labels, address = (_labels(pair.before), _labels(pair.after)), (*data.address, "strategy_switch")
        cells = switch_estimates(*labels, first, last, pair.problem, address=address, n_boot=self.n_boot)
        change, moved = last.astype(np.float64) - first, pair.before.code ^ pair.after.code
        total, switched = _gain(change, pair), _gain(change * moved, pair)
        settled = total.lo > 0 or total.hi < 0
        told = []
        for found in [*cells, total]:
            cell = found.params.get("cell", "total")
            if found.name == "switch_gain":
                tested = replace(found, null=found.value - switched.value, p=switched.p) if cell in TRAFFIC else found
                told.append(_points(tested, cell))
            elif settled or found.name == "switch_share":
                told.append(replace(found, params={"side": "", "cell": cell}))
        return told


def _labels(side: Side) -> np.ndarray:
    return np.where(side.code, str(Strategy.code), str(Strategy.prose))


def _gain(change: np.ndarray, pair: Paired) -> Estimate:
    return clustered_mean(change, pair.problem, name="switch_gain", null=0.0, bounds=(-1.0, 1.0))


def _points(found: Estimate, cell: str) -> Estimate:
    points = {key: 100 * getattr(found, key) for key in ("value", "lo", "hi", "null")}
    return replace(found, unit="points", params={"side": "change", "cell": cell}, **points)
