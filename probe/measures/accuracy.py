"""What share of all responses is right? Unparsed, timed out and ungradable responses count as not right.

Sides before, after, change; the change is paired by problem and sample, its p from sign flips of whole problems.
"""

from dataclasses import dataclass
from typing import ClassVar

from probe.data import Estimate
from probe.measures import PairData, measures
from probe.measures._estimates import means
from probe.measures._pairing import paired


@measures.register("accuracy")
@dataclass(frozen=True)
class Accuracy:
    """`accuracy`, three sides; null 0 for the change."""

    needs: ClassVar[frozenset[str]] = frozenset({"responses"})

    def __call__(self, data: PairData) -> list[Estimate]:
        pair = paired(data)
        return means("accuracy", pair.before.right, pair.after.right, pair, data.address)
