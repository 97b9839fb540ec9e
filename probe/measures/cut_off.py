"""What share of responses was cut off by the limit on their length, with or without an answer so far?

Silent where no response says how it ended; a side is taken over the pairs in which both do.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from probe.data import Estimate
from probe.measures import PairData, measures
from probe.measures._estimates import means
from probe.measures._pairing import Paired, paired


@measures.register("cut_off")
@dataclass(frozen=True)
class CutOff:
    """`cut_off`, three sides; null 0 for the change."""

    needs: ClassVar[frozenset[str]] = frozenset({"responses"})

    def __call__(self, data: PairData) -> list[Estimate]:
        pair = paired(data)
        known = np.isfinite(pair.before.cut_off) & np.isfinite(pair.after.cut_off)
        if not known.any():
            return []
        codes = np.unique(pair.problem[known], return_inverse=True)[1]
        part = Paired(codes, int(codes.max()) + 1, pair.before, pair.after)
        return means("cut_off", pair.before.cut_off[known], pair.after.cut_off[known], part, data.address)
