"""Does the stated confidence say how often the answer is right? (2507.16806)

    brier   mean (q - y)^2                    ece   sum_b n_b/n |mean_b q - mean_b y|, 10 bins of equal width
    auroc   P(q_right > q_wrong) + ties/2     reliability   accuracy per bin; its null is the bin's mean confidence

Brier: clustered mean. AUROC: placement values as scores (DeLong 1988, by cluster: Obuchowski 1997). ECE has kinks where
a bin is calibrated: problems are resampled. It is biased upwards in small samples; in the change of two sides that
cancels only where they are alike (null pairs: p < .05 in 5 to 6 % where both are miscalibrated, never where both are
calibrated). A side is taken over its responses that state a confidence, the change over pairs that do on both sides.
Left out: AUROC where all are right or all wrong; bins held by one problem, which have no interval.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int

from probe.data import Estimate
from probe.errors import BadInput
from probe.measures import PairData, measures
from probe.measures._estimates import SIDES, linearised
from probe.measures._pairing import Paired, Side, paired
from probe.stats import brier, reliability
from probe.stats.bootstrap import bootstrap_totals, percentile_estimate
from probe.stats.checks import About, cluster_totals
from probe.stats.ranking import ranked

Scores = tuple[float, Float[np.ndarray, "row"]]


@dataclass(frozen=True)
class Stated:
    """Rows that state a confidence: q, correctness, problem code."""

    q: Float[np.ndarray, "row"]
    y: Float[np.ndarray, "row"]
    problem: Int[np.ndarray, "row"]


@measures.register("calibration")
@dataclass(frozen=True)
class Calibration:
    """`brier`, `ece`, `auroc`, three sides (null 0 for the change, .5 for the AUROC of a side); `reliability`
    by `bin`, its left edge."""

    bins: int = 10
    n_boot: int = 500
    needs: ClassVar[frozenset[str]] = frozenset({"responses", "confidence"})

    def __call__(self, data: PairData) -> list[Estimate]:
        pair = paired(data)
        has = [np.isfinite(side.confidence) for side in (pair.before, pair.after)]
        if not (has[0].any() or has[1].any()):
            raise BadInput("no response states a confidence", do="ask for one, or leave this measure out")
        before, after = (_stated(side, rows, pair) for side, rows in zip((pair.before, pair.after), has, strict=True))
        both = [_stated(side, has[0] & has[1], pair) for side in (pair.before, pair.after)]
        smooth = [
            found
            for name, scores, null in (("brier", _brier, None), ("auroc", _auroc, 0.5))
            for found in _sides(name, scores, null, (before, after), both)
        ]
        eces = _eces([before, after, *both], pair.n_problems, self, (*data.address, "calibration"))
        bars = [row for name, s in zip(SIDES, (before, after), strict=True) for row in _reliability(name, s, self.bins)]
        return smooth + eces + bars


def _stated(side: Side, rows: Bool[np.ndarray, "row"], pair: Paired) -> Stated:
    return Stated(side.confidence[rows], side.right[rows].astype(np.float64), pair.problem[rows])


def _sides(
    name: str, scores: Callable[[Stated], Scores], null: float | None, sides: tuple[Stated, ...], both: list[Stated]
) -> list[Estimate]:
    """Before, after and change of a statistic that has scores; what is undefined is left out."""
    found = []
    for side, stated in zip(SIDES, sides, strict=True):
        value, moves = scores(stated)
        if np.isfinite(value):
            told = {"side": side}
            found.append(linearised(value, moves, stated.problem, name=name, null=null, bounds=(0.0, 1.0), params=told))
    (first, first_moves), (last, last_moves) = (scores(stated) for stated in both)
    if np.isfinite(last - first):
        told, moves = {"side": "change"}, last_moves - first_moves
        found.append(
            linearised(last - first, moves, both[0].problem, name=name, null=0.0, bounds=(-1.0, 1.0), params=told)
        )
    return found


def _brier(stated: Stated) -> Scores:
    if not stated.q.size:
        return np.nan, stated.q
    value = brier(stated.q, stated.y)
    return value, ((stated.q - stated.y) ** 2 - value) / stated.q.size


def _auroc(stated: Stated) -> Scores:
    return ranked(stated.q, stated.y) if stated.q.size else (np.nan, stated.q)


def _eces(stated: list[Stated], n_problems: int, how: Calibration, address: tuple[str | int, ...]) -> list[Estimate]:
    """Before, after and change from one bootstrap; `stated`: before, after, and both again where both state one."""

    def eces(totals: Float[np.ndarray, "draw feature"]) -> Float[np.ndarray, "draw side"]:
        blocks = totals.reshape(len(totals), len(stated), how.bins + 1)
        gaps, n = np.abs(blocks[..., :-1]).sum(-1), blocks[..., -1]
        found = np.divide(gaps, n, out=np.full(n.shape, np.nan), where=n > 0)
        return np.stack([found[:, 0], found[:, 1], found[:, 3] - found[:, 2]], axis=-1)

    totals = np.hstack([_gaps(rows, n_problems, how.bins) for rows in stated])
    draws, values = bootstrap_totals(eces, totals, address=address, n_boot=how.n_boot), eces(totals.sum(0)[None])[0]
    found = []
    for place, (side, rows) in enumerate(zip((*SIDES, "change"), stated, strict=False)):
        if np.isfinite(values[place]):
            about = About("ece", null=0.0 if side == "change" else None, params={"side": side})
            problems = np.unique(rows.problem).size
            found.append(percentile_estimate(values[place], draws[:, place], rows.q.size, problems, about))
    return found


def _gaps(stated: Stated, n_problems: int, bins: int) -> Float[np.ndarray, "cluster feature"]:
    """Per problem: sum of q - y in each occupied bin (in order, then zeros), number of answers."""
    count = np.bincount(stated.problem, minlength=n_problems)[:, None].astype(float)
    if not stated.q.size:
        return np.hstack([np.zeros((n_problems, bins)), count])
    which = _runs(stated, reliability(stated.q, stated.y, bins))
    return np.hstack([cluster_totals(stated.q - stated.y, (stated.problem, n_problems), which, bins), count])


def _runs(stated: Stated, rows: list[dict[str, float]]) -> Int[np.ndarray, "row"]:
    """Which of the occupied bins each answer is in: bins are runs of the sorted confidences."""
    held = [int(row["n"]) for row in rows]
    which = np.empty(stated.q.size, dtype=np.int64)
    which[np.argsort(stated.q, kind="stable")] = np.repeat(np.arange(len(held)), held)
    return which


def _reliability(side: str, stated: Stated, bins: int) -> list[Estimate]:
    """One estimate per bin: accuracy, beside the mean confidence as its null."""
    if not stated.q.size:
        return []
    single = np.unique(stated.problem).size == stated.q.size  # then Wilson's limits
    rows = reliability(stated.q, stated.y, bins, clusters=None if single else stated.problem)
    which, found = _runs(stated, rows), []
    for place, row in enumerate(rows):
        accuracy, null, limits = row["accuracy"], row["confidence"], (row["lo"], row["hi"])
        about = About("reliability", params={"side": side, "bin": row["left"]})
        problems = np.unique(stated.problem[which == place]).size
        if np.isfinite(row["lo"]):
            found.append(replace(about.estimate(accuracy, limits, int(row["n"]), problems, np.nan), null=null))
    return found
