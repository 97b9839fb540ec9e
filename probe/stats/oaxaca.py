"""Did accuracy rise because the mix of strategies moved, or because each strategy got better?

With p the share of responses that parse, and among those s_k the share of strategy k and a_k its accuracy,
accuracy = p * sum_k s_k a_k. Kitagawa-Oaxaca-Blinder at the midpoint (D after - before, bar the mean of both sides):

    parse = Dp * bar(sum_k s_k a_k)      mix = bar(p) * sum_k Ds_k bar(a_k)      within = bar(p) * sum_k Da_k bar(s_k)

and parse + mix + within = total exactly; swapping the sides flips every sign. Without unparsed responses parse = 0.
A strategy absent on one side has no accuracy there: it is given the other side's, so that all it brings counts as mix.
Likewise where nothing parses on one side, shares and accuracies are the other side's and all is parse.
Source: Kitagawa (1955), Blinder (1973), Oaxaca (1973). Left out: an interaction term (the midpoint splits it evenly),
item groups and sharpening. An account, not a causal effect: strategies are chosen per problem.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from probe.data import Estimate
from probe.errors import BadInput
from probe.stats.bootstrap import bootstrap_totals, percentile_estimate
from probe.stats.checks import About, binary, cluster_codes, cluster_totals, label_column

PARTS = ("parse", "mix", "within", "total")


@dataclass(frozen=True)
class Graded:
    """One checkpoint's graded responses, a row each: problem, strategy label, correct 0/1, parsed 0/1 (None: all)."""

    clusters: ArrayLike
    strategy: ArrayLike
    correct: ArrayLike
    parsed: ArrayLike | None = None


def gain_parts(
    n_before: ArrayLike,
    right_before: ArrayLike,
    n_after: ArrayLike,
    right_after: ArrayLike,
    *,
    unparsed_before: ArrayLike = 0,
    unparsed_after: ArrayLike = 0,
) -> dict[str, Float[np.ndarray, "*batch"]]:
    """The PARTS of an accuracy change, each `[...]`, from counts `[..., strategy]` of parsed responses and right ones.

    `unparsed_*` `[...]` count the responses without a readable answer (all wrong). Counts may be weighted.
    BadInput unless 0 <= right <= n and each side has a response.
    """
    parse0, share0, accuracy0 = _rates(n_before, right_before, unparsed_before, "before")
    parse1, share1, accuracy1 = _rates(n_after, right_after, unparsed_after, "after")
    if share0.shape[-1] != share1.shape[-1]:
        raise BadInput("before and after count different strategies", do="give one count per strategy, 0 where absent")
    share0, share1 = _fill(share0, share1), _fill(share1, share0)
    accuracy0, accuracy1 = _fill(accuracy0, accuracy1), _fill(accuracy1, accuracy0)
    given0, given1 = (share0 * accuracy0).sum(-1), (share1 * accuracy1).sum(-1)
    readable = (parse0 + parse1) / 2
    parts = {
        "parse": (parse1 - parse0) * (given0 + given1) / 2,
        "mix": readable * ((share1 - share0) * (accuracy0 + accuracy1) / 2).sum(-1),
        "within": readable * ((accuracy1 - accuracy0) * (share0 + share1) / 2).sum(-1),
        "total": parse1 * given1 - parse0 * given0,
    }
    return {part: np.asarray(value) for part, value in parts.items()}


def gain_estimates(
    before: Graded,
    after: Graded,
    *,
    address: tuple[str | int, ...],
    n_boot: int = 1000,
    level: float = 0.95,
    params: Mapping[str, Any] | None = None,
) -> list[Estimate]:
    """The PARTS (params["part"]) with percentile limits, resampling problems with both sides' responses; null 0.

    Both sides must answer the same problems; how many responses each has to one may differ. `n` counts both sides'.
    """
    if not np.array_equal(_names(before.clusters, "clusters"), _names(after.clusters, "clusters")):
        raise BadInput("before and after answer different problems", do="keep the problems that both sides have")
    names = np.union1d(_names(before.strategy, "strategy"), _names(after.strategy, "strategy"))
    totals = np.hstack([_totals(before, names, "before"), _totals(after, names, "after")])
    draws = bootstrap_totals(_parts, totals, address=address, n_boot=n_boot)
    values = _parts(totals.sum(0, keepdims=True))[0]
    n = np.size(before.correct) + np.size(after.correct)
    return [
        percentile_estimate(
            value, column, n, len(totals), About("gain", "fraction", level, 0.0, {**(params or {}), "part": part})
        )
        for part, value, column in zip(PARTS, values, draws.T, strict=True)
    ]


def _parts(totals: Float[np.ndarray, "draw feature"]) -> Float[np.ndarray, "draw part"]:
    """PARTS from both sides' `_totals` side by side."""
    k = (totals.shape[-1] // 2 - 1) // 2
    n0, right0, lost0, n1, right1, lost1 = np.split(totals, np.cumsum([k, k, 1, k, k]), axis=-1)
    parts = gain_parts(n0, right0, n1, right1, unparsed_before=lost0[..., 0], unparsed_after=lost1[..., 0])
    return np.stack([parts[part] for part in PARTS], axis=-1)


def _names(labels: ArrayLike, name: str) -> np.ndarray:
    return np.unique(label_column(labels, name))


def _totals(side: Graded, names: np.ndarray, where: str) -> Float[np.ndarray, "cluster feature"]:
    """Per problem: parsed responses of each strategy, right ones of each, unparsed ones."""
    correct = binary(side.correct, "correct")
    parsed = np.ones(correct.size) if side.parsed is None else binary(side.parsed, "parsed", rows=correct.size)
    if (correct > parsed).any():
        raise BadInput("a response is right but not parsed", where=where, do="grade unparsed responses as wrong")
    codes = cluster_codes(side.clusters, correct.size)
    labels = label_column(side.strategy, "strategy", correct.size)
    which, k = np.searchsorted(names, labels), len(names)
    lost = cluster_totals(1 - parsed, codes, np.zeros_like(which), 1)
    return np.hstack([cluster_totals(parsed, codes, which, k), cluster_totals(correct, codes, which, k), lost])


def _rates(
    n: ArrayLike, right: ArrayLike, unparsed: ArrayLike, where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parse rate `[...]`, shares and accuracies `[..., strategy]`; nan where a rate has nothing to be taken over."""
    size, hits, lost = (np.asarray(counts, dtype=np.float64) for counts in (n, right, unparsed))
    if size.ndim == 0 or size.shape != hits.shape:
        raise BadInput(
            f"counts have shapes {size.shape} and {hits.shape}", where=where, do="give one count per strategy"
        )
    if not ((hits >= 0) & (hits <= size) & np.isfinite(size)).all() or not (np.isfinite(lost) & (lost >= 0)).all():
        raise BadInput("right answers do not fit the counts of responses", where=where, do="give 0 <= right <= n")
    parsed = size.sum(-1)
    if not (parsed + lost > 0).all():
        raise BadInput("no responses", where=where, do="give counts with at least one response on each side")
    share = _over(size, np.broadcast_to(parsed[..., None], size.shape))
    return np.asarray(parsed / (parsed + lost)), share, _over(hits, size)


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def _fill(rates: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Rates, with the other side's where they are undefined, and 0 where both are."""
    return np.where(np.isfinite(rates), rates, np.where(np.isfinite(other), other, 0.0))
