"""Is this a feature of reasoning, or does it fire on a token? Put the token into texts of the other class. (2601.05679)

    share = (mean(injected) - mean(no)) / (mean(yes) - mean(no))        of the class difference, by the tokens alone

One activation a text (its mean, its largest: the caller's choice, the same for all). `injected` is `no` with the
trigger token put in, text by text. Interval: problems resampled, percentiles.

    verdict: "no class difference"   the interval of mean(yes) - mean(no) holds 0: nothing to explain
             "fires on the token"    share > .5
             "undecided"             share <= .5, but its interval reaches above
             "not the token alone"   else: says nothing about other cues of the class, or about its cause
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from probe.data import Estimate
from probe.stats.bootstrap import bootstrap_totals, percentile_estimate
from probe.stats.checks import About, cluster_codes, column, label_column

TOKEN = 0.5
DIFFERENCE = About("class_difference", "none", null=0.0)
SHARE = About("token_share", "ratio", null=0.0)
Told = Literal["no class difference", "fires on the token", "undecided", "not the token alone"]
Totals = Float[np.ndarray, "draw total"]


@dataclass(frozen=True)
class Injection:
    """What one latent does when the token is put in."""

    difference: Estimate
    share: Estimate

    @property
    def verdict(self) -> Told:
        """By the rule above."""
        if not (self.difference.lo > 0 or self.difference.hi < 0):
            return "no class difference"
        if self.share.value > TOKEN:
            return "fires on the token"
        return "not the token alone" if self.share.hi <= TOKEN else "undecided"


def injection(
    yes: ArrayLike,
    no: ArrayLike,
    injected: ArrayLike,
    problems: tuple[ArrayLike, ArrayLike],
    address: tuple[str | int, ...],
    n_boot: int = 1000,
) -> Injection:
    """Of one latent: `yes` [text] with `problems[0]`, `no` and `injected` [text] with `problems[1]`.

    The address is that of the resamples.
    """
    first, second = column(yes, "yes"), column(no, "no")
    third = column(injected, "injected", rows=second.size)
    names = (label_column(problems[0], "problems", first.size), label_column(problems[1], "problems", second.size))
    code, n = cluster_codes(np.concatenate(names).astype(str), first.size + second.size)
    ones, twos = code[: first.size], code[first.size :]
    parts = [(ones, first), (ones, None), (twos, second), (twos, None), (twos, third)]
    totals = np.stack([np.bincount(which, values, minlength=n) for which, values in parts], axis=1)
    rows = first.size + second.size
    found = []
    for about, statistic in ((DIFFERENCE, _difference), (SHARE, _share)):
        draws = bootstrap_totals(statistic, totals, address=address, n_boot=n_boot)
        found.append(percentile_estimate(float(statistic(totals.sum(0)[None])[0]), draws, rows, n, about))
    return Injection(found[0], found[1])


def _difference(totals: Totals) -> Float[np.ndarray, "draw"]:
    yes, n_yes, no, n_no, _ = totals.T
    return _over(yes, n_yes) - _over(no, n_no)


def _share(totals: Totals) -> Float[np.ndarray, "draw"]:
    _, _, no, n_no, injected = totals.T
    return _over(_over(injected - no, n_no), _difference(totals))


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)
