"""Which problems were gained and which were lost? Both right, only before, only after, neither.

A net change hides its two parts: 33 gained and 74 lost is not 41 lost. When nothing happened, a pair that differs is
as likely to differ one way as the other, so the null of "only_before" and "only_after" is half their sum (McNemar's),
p from sign flips of whole problems. Above temperature 0 samples are paired by their number and differ by luck as well.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from probe.data import Estimate
from probe.measures import PairData, measures
from probe.measures._pairing import paired
from probe.stats import clustered_mean, paired_permutation


@measures.register("outcome_cells")
@dataclass(frozen=True)
class OutcomeCells:
    """`outcome_share` and `outcome_count` (the same in pairs), side "", cell "both", "only_before", "only_after" or
    "neither"."""

    needs: ClassVar[frozenset[str]] = frozenset({"responses"})

    def __call__(self, data: PairData) -> list[Estimate]:
        pair = paired(data)
        first, last = pair.before.right, pair.after.right
        p = paired_permutation(first, last, pair.problem, (*data.address, "outcome_cells"))
        half = float((first ^ last).mean() / 2)
        cells = {"both": first & last, "only_before": first & ~last, "only_after": last & ~first}
        found = []
        for cell, held in (cells | {"neither": ~(first | last)}).items():
            null = half if cell.startswith("only") else None
            told = {"side": "", "cell": cell}
            share = clustered_mean(held, pair.problem, name="outcome_share", null=null, bounds=(0.0, 1.0), params=told)
            found.append(share if null is None else replace(share, p=p))
        return found + [_count(share, int(np.size(first))) for share in found]


def _count(share: Estimate, n: int) -> Estimate:
    scaled = {key: n * getattr(share, key) for key in ("value", "lo", "hi")}
    null = None if share.null is None else n * share.null
    return replace(share, name="outcome_count", unit="count", null=null, **scaled)
