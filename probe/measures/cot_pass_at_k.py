"""What share of problems would k samples solve, if a right answer behind a false step did not count? CoT-pass@k.

    pass@k with c = right responses whose trace has no false step                                       (2506.14245)

pass@k rewards guessing: with enough samples a wrong way ends in a right answer. Steps are what `probe.tasks.validity`
can check, so a response that shows nothing to check counts as pass@k counts it (`trace_checked` says how many show
something), and CoT-pass@k here is an upper bound of the one that a judge gives.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from probe.data import Estimate
from probe.measures import PairData, measures
from probe.measures._pairing import Side, paired
from probe.measures.pass_at_k import at_k
from probe.measures.trace_validity import Rows, verdicts


@measures.register("cot_pass_at_k")
@dataclass(frozen=True)
class CotPassAtK:
    """`cot_pass_at_k`, three sides, by `k`; null 0 for the change. n counts responses."""

    needs: ClassVar[frozenset[str]] = frozenset({"responses"})

    def __call__(self, data: PairData) -> list[Estimate]:
        pair = paired(data)
        before, after = verdicts(data.before), verdicts(data.after)
        pair = replace(
            pair, before=_without_false_steps(pair.before, before), after=_without_false_steps(pair.after, after)
        )
        samples = np.bincount(pair.problem)
        ks = 2 ** np.arange(int(samples.min()).bit_length())
        return [estimate for k in ks.tolist() for estimate in at_k(k, samples, pair, "cot_pass_at_k")]


def _without_false_steps(side: Side, verdict: tuple[Rows, Rows]) -> Side:
    valid, checked = verdict
    return replace(side, right=side.right & (valid | ~checked))
