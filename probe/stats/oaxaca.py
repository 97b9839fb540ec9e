"""Did accuracy rise because the mix of strategies moved, because more answers could be read, or within each strategy?

With s_k the share of strategy k among all responses, p_k the share of its responses whose answer could be read, and a_k
the share of those that are right, accuracy = sum_k s_k p_k a_k. Kitagawa-Oaxaca-Blinder at the midpoint, the parse rate
nested in the strategy (D after - before, bar the mean of both sides):

    mix = sum_k Ds_k bar(p_k a_k)    parse = sum_k bar(s_k) Dp_k bar(a_k)    within = sum_k bar(s_k) bar(p_k) Da_k

and mix + parse + within = total exactly; swapping the sides flips every sign. A move to a strategy whose answers are
read more often is mix, not parse. Where every answer is read, parse = 0.
A strategy absent on one side has no rates there: it is given the other side's, so that all it brings is mix. Likewise
the accuracy of one of which nothing is read on one side, so that it brings nothing to within. What neither side has
is 0.
Source: Kitagawa (1955), Blinder (1973), Oaxaca (1973). An account, not an effect: a strategy is chosen per problem, so
mix holds the net traffic alone, and a strategy's accuracy also changes with the problems that come to it or leave. On
the counts of 2506.10947 responses that switched bring most of the gain (`switches`) under four rewards of five, and yet
within is the largest part under all five.
Left out: an interaction term (the midpoint splits it evenly), item groups, sharpening, and parts by strategy (the mix
of one alone depends on what its share is traded for).
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

PARTS = ("mix", "parse", "within", "total")


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
    parsed_before: ArrayLike | None = None,
    parsed_after: ArrayLike | None = None,
) -> dict[str, Float[np.ndarray, "*batch"]]:
    """The PARTS of an accuracy change, fractions, each `[...]`, from counts `[..., strategy]`: responses, right ones.

    `parsed_*` `[..., strategy]` count the responses whose answer could be read (None: all). Counts may be weighted.
    BadInput unless both sides have one shape, 0 <= right <= parsed <= n, and each side has a response.
    """
    share0, parse0, accuracy0 = _rates(n_before, parsed_before, right_before, "before")
    share1, parse1, accuracy1 = _rates(n_after, parsed_after, right_after, "after")
    if share0.shape != share1.shape:
        shapes = f"{share0.shape} before and {share1.shape} after"
        raise BadInput(f"counts have shapes {shapes}", do="give one count per strategy, 0 where absent")
    parse0, parse1 = _fill(parse0, parse1), _fill(parse1, parse0)
    accuracy0, accuracy1 = _fill(accuracy0, accuracy1), _fill(accuracy1, accuracy0)
    share, parse, accuracy = (share0 + share1) / 2, (parse0 + parse1) / 2, (accuracy0 + accuracy1) / 2
    parts = {
        "mix": (share1 - share0) * (parse0 * accuracy0 + parse1 * accuracy1) / 2,
        "parse": share * (parse1 - parse0) * accuracy,
        "within": share * parse * (accuracy1 - accuracy0),
        "total": share1 * parse1 * accuracy1 - share0 * parse0 * accuracy0,
    }
    return {part: np.asarray(parts[part].sum(-1)) for part in PARTS}


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
    n0, parsed0, right0, n1, parsed1, right1 = np.split(totals, 6, axis=-1)
    parts = gain_parts(n0, right0, n1, right1, parsed_before=parsed0, parsed_after=parsed1)
    return np.stack([parts[part] for part in PARTS], axis=-1)


def _names(labels: ArrayLike, name: str) -> np.ndarray:
    return np.unique(label_column(labels, name))


def _totals(side: Graded, names: np.ndarray, where: str) -> Float[np.ndarray, "cluster feature"]:
    """Per problem: responses of each strategy, parsed ones of each, right ones of each."""
    correct = binary(side.correct, "correct")
    parsed = np.ones(correct.size) if side.parsed is None else binary(side.parsed, "parsed", rows=correct.size)
    if (correct > parsed).any():
        raise BadInput("a response is right but not parsed", where=where, do="grade unparsed responses as wrong")
    codes = cluster_codes(side.clusters, correct.size)
    labels = label_column(side.strategy, "strategy", correct.size)
    which, k = np.searchsorted(names, labels), len(names)
    return np.hstack([cluster_totals(each, codes, which, k) for each in (np.ones(correct.size), parsed, correct)])


def _rates(
    n: ArrayLike, parsed: ArrayLike | None, right: ArrayLike, where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares, parse rates and accuracies of what was read `[..., strategy]`; nan where a rate is over nothing."""
    size, read, hits = (_counts(each, where) for each in (n, n if parsed is None else parsed, right))
    if size.ndim == 0 or not size.shape == read.shape == hits.shape:
        shapes = f"{size.shape} (n), {read.shape} (parsed) and {hits.shape} (right)"
        raise BadInput(f"counts have shapes {shapes}", where=where, do="give one count per strategy")
    responses = size.sum(-1, keepdims=True)
    if not np.isfinite(responses).all() or not ((hits >= 0) & (hits <= read) & (read <= size)).all():
        raise BadInput("these are not counts of responses", where=where, do="give finite 0 <= right <= parsed <= n")
    if not (responses > 0).all():
        raise BadInput("no responses", where=where, do="give counts with at least one response on each side")
    return size / responses, _over(read, size), _over(hits, read)


def _counts(counts: ArrayLike, where: str) -> np.ndarray:
    try:
        return np.asarray(counts, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise BadInput(f"counts are not numbers: {err}", where=where, do="give one number per strategy") from err


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def _fill(rates: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Rates, with the other side's where they are undefined, and 0 where both are."""
    return np.where(np.isfinite(rates), rates, np.where(np.isfinite(other), other, 0.0))
