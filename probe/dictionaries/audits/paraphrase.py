"""Does a latent stay on where a text is said in other words, and off where it was off? The other half of `injection`.

    kept = (mean(yes') - mean(no')) / (mean(yes) - mean(no))        of the class difference, in other words

yes', no': the same texts of both classes, reworded within their class, so that 1 is a latent of the class and 0 one of
the words that were taken out. One activation a text (its mean, its largest: the caller's choice, the same for all).
Interval: problems resampled, percentiles; null 0.

    verdict: "no class difference"    the interval of mean(yes) - mean(no) holds 0: nothing to keep
             "stays in other words"   the lower limit of kept > .5
             "goes with the words"    its upper limit < .5
             "undecided"              else

A rewording that changes little keeps everything: tell how much was changed beside it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from probe.data import Estimate
from probe.dictionaries.audits.injection import DIFFERENCE
from probe.stats.bootstrap import bootstrap_totals, percentile_estimate
from probe.stats.checks import About, cluster_codes, column, label_column

ENOUGH = 0.5
KEPT = About("kept_share", "ratio", null=0.0)
Told = Literal["no class difference", "stays in other words", "goes with the words", "undecided"]


@dataclass(frozen=True)
class Paraphrase:
    """What one latent does in other words."""

    difference: Estimate
    kept: Estimate

    @property
    def verdict(self) -> Told:
        """By the rule above."""
        if not (self.difference.lo > 0 or self.difference.hi < 0):
            return "no class difference"
        if self.kept.lo > ENOUGH:
            return "stays in other words"
        return "goes with the words" if self.kept.hi < ENOUGH else "undecided"


def paraphrase(
    plain: tuple[ArrayLike, ArrayLike],
    reworded: tuple[ArrayLike, ArrayLike],
    problems: tuple[ArrayLike, ArrayLike],
    address: tuple[str | int, ...],
    n_boot: int = 1000,
) -> Paraphrase:
    """Of one latent: its activation in texts of the class and in others, [text] each, as they are and reworded.

    The address is that of the resamples. BadInput for columns of unequal length.
    """
    sizes = [len(np.asarray(each)) for each in plain]
    columns = [
        [column(values, name, rows=n) for values, n in zip(texts, sizes, strict=True)]
        for texts, name in ((plain, "plain"), (reworded, "reworded"))
    ]
    names = [label_column(values, "problems", n).astype(str) for values, n in zip(problems, sizes, strict=True)]
    code, n = cluster_codes(np.concatenate(names), sum(sizes))
    which = code[: sizes[0]], code[sizes[0] :]
    parts = [(which[side], None) for side in (0, 1)] + [(which[side], one[side]) for one in columns for side in (0, 1)]
    totals = np.stack([np.bincount(place, values, minlength=n) for place, values in parts], axis=1)
    found = []
    for about, statistic in ((DIFFERENCE, _difference), (KEPT, _kept)):
        draws = bootstrap_totals(statistic, totals, address=address, n_boot=n_boot)
        found.append(percentile_estimate(float(statistic(totals.sum(0)[None])[0]), draws, sum(sizes), n, about))
    return Paraphrase(found[0], found[1])


def _difference(totals: Float[np.ndarray, "draw total"]) -> Float[np.ndarray, "draw"]:
    n_yes, n_no, yes, no, _, _ = totals.T
    return _over(yes, n_yes) - _over(no, n_no)


def _kept(totals: Float[np.ndarray, "draw total"]) -> Float[np.ndarray, "draw"]:
    n_yes, n_no, _, _, yes, no = totals.T
    return _over(_over(yes, n_yes) - _over(no, n_no), _difference(totals))


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)
