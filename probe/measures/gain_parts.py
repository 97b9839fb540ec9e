"""Did accuracy rise because the mix of strategies moved, because more answers parse, or within each strategy?

Kitagawa-Oaxaca-Blinder parts at the midpoint (`probe.stats.oaxaca`): mix + parse + within = total, exactly. Parse rates
are those of each strategy: a move to one that boxes its answers more often is mix.
A response parses where it has a boxed answer, or was graded right without one (outputs graded elsewhere).
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from probe.data import Estimate, Strategy
from probe.measures import PairData, measures
from probe.measures._pairing import Paired, Side, paired
from probe.stats import Graded, gain_estimates


@measures.register("gain_parts")
@dataclass(frozen=True)
class GainParts:
    """`gain_parts`, side "change", part "mix", "parse", "within" or "total"; null 0. n: both sides' responses."""

    n_boot: int = 500
    needs: ClassVar[frozenset[str]] = frozenset({"responses"})

    def __call__(self, data: PairData) -> list[Estimate]:
        pair = paired(data)
        before, after = _graded(pair.before, pair), _graded(pair.after, pair)
        parts = gain_estimates(before, after, address=(*data.address, "gain_parts"), n_boot=self.n_boot)
        return [
            replace(found, name="gain_parts", params={"side": "change", "part": found.params["part"]})
            for found in parts
        ]


def _graded(side: Side, pair: Paired) -> Graded:
    strategy = np.where(side.code, str(Strategy.code), str(Strategy.prose))
    return Graded(pair.problem, strategy, side.right, side.boxed | side.right)
