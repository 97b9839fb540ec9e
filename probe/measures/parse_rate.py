"""What share of responses has a boxed answer at all, right or wrong? The format part of a gain (2506.10947, H4)."""

from dataclasses import dataclass
from typing import ClassVar

from probe.data import Estimate
from probe.measures import PairData, measures
from probe.measures._estimates import means
from probe.measures._pairing import paired


@measures.register("parse_rate")
@dataclass(frozen=True)
class ParseRate:
    """`parse_rate`, three sides; null 0 for the change."""

    needs: ClassVar[frozenset[str]] = frozenset({"responses"})

    def __call__(self, data: PairData) -> list[Estimate]:
        pair = paired(data)
        return means("parse_rate", pair.before.boxed, pair.after.boxed, pair, data.address)
