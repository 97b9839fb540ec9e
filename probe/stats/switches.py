"""How much of an accuracy gain comes from problems that changed strategy?

Split the problems by strategy before -> after into CC, CL, LC, LL (C code, L language: "code" and "prose"), and share
out the gain (2506.10947, Table 2):

    C_d = sum_{x in d} (correct_after - correct_before) / sum_{all x} (correct_after - correct_before);   sum_d C_d = 1

C_d has no finite meaning where the gain is 0 (nan) and is unstable near it; `switch_gain`, the accuracy each cell adds
(its numerator over the number of responses), is always defined and adds up to the gain.
Left out: why a cell gains. A cell is chosen by what the model did, so C_d is an account, not an effect: CC may gain by
sharpening, and LC holds the problems that came to use code. Compare `oaxaca`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from probe.data import Estimate, Strategy
from probe.errors import BadInput
from probe.stats.bootstrap import bootstrap_totals, percentile_estimate
from probe.stats.checks import About, binary, cluster_codes, cluster_totals, label_column
from probe.stats.intervals import clustered_mean

CELLS = ("CC", "CL", "LC", "LL")


def switch_contributions(n: ArrayLike, before: ArrayLike, after: ArrayLike) -> Float[np.ndarray, "*batch cell"]:
    """C_d `[..., cell]`, fractions in the order of CELLS, from counts `[..., cell]`: problems, right before, after.

    BadInput unless 0 <= before, after <= n. nan where the total gain is 0.
    """
    size, first, last = np.broadcast_arrays(*(np.asarray(counts, dtype=np.float64) for counts in (n, before, after)))
    if size.ndim == 0 or size.shape[-1] != len(CELLS):
        raise BadInput(f"switch counts have shape {size.shape}", do=f"give one count per cell of {CELLS}, last axis")
    if not (np.isfinite(size) & (first >= 0) & (last >= 0) & (first <= size) & (last <= size)).all():
        raise BadInput("a cell has more right answers than problems, or a missing count", do="give 0 <= right <= n")
    return _contributions(last - first)


def switch_counts(
    strategy_before: ArrayLike, strategy_after: ArrayLike, correct_before: ArrayLike, correct_after: ArrayLike
) -> tuple[Float[np.ndarray, "cell"], Float[np.ndarray, "cell"], Float[np.ndarray, "cell"]]:
    """(n, right before, right after), each `[cell]`, from paired rows: strategy "code" or "prose", correct 0 or 1."""
    cell, before, after = _cells(strategy_before, strategy_after, correct_before, correct_after)
    n, first, last = (np.bincount(cell, rows, minlength=len(CELLS)) for rows in (np.ones(cell.size), before, after))
    return n, first, last


def switch_estimates(
    strategy_before: ArrayLike,
    strategy_after: ArrayLike,
    correct_before: ArrayLike,
    correct_after: ArrayLike,
    clusters: ArrayLike,
    *,
    address: tuple[str | int, ...],
    n_boot: int = 1000,
    level: float = 0.95,
    params: Mapping[str, Any] | None = None,
) -> list[Estimate]:
    """The same from paired rows `[row]`, with intervals over `clusters` `[row]`; three estimates per cell of CELLS.

    `switch_share` of responses and `switch_gain` (accuracy added; null 0) are clustered means, `switch_contribution`
    (C_d) has percentile limits over resampled clusters. params["cell"] names the cell.
    """
    cell, before, after = _cells(strategy_before, strategy_after, correct_before, correct_after)
    change = after - before
    totals = cluster_totals(change, cluster_codes(clusters, cell.size), cell, len(CELLS))
    draws = bootstrap_totals(_contributions, totals, address=address, n_boot=n_boot)
    estimates = []
    for place, (label, value) in enumerate(zip(CELLS, _contributions(totals.sum(0)), strict=True)):
        held, about = cell == place, {**(params or {}), "cell": label}
        share = clustered_mean(held, clusters, name="switch_share", level=level, params=about)
        gain = clustered_mean(
            change * held, clusters, name="switch_gain", level=level, null=0.0, bounds=(-1.0, 1.0), params=about
        )
        contribution = About("switch_contribution", "fraction", level, None, about)
        estimates += [share, gain, percentile_estimate(value, draws[:, place], cell.size, len(totals), contribution)]
    return estimates


def _contributions(change: Float[np.ndarray, "*batch cell"]) -> Float[np.ndarray, "*batch cell"]:
    gain = change.sum(-1, keepdims=True)
    return np.divide(change, gain, out=np.full(change.shape, np.nan), where=gain != 0)


def _cells(
    strategy_before: ArrayLike, strategy_after: ArrayLike, correct_before: ArrayLike, correct_after: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cell index `[row]` and both correctness columns."""
    before = binary(correct_before, "correct_before")
    after = binary(correct_after, "correct_after", rows=before.size)
    first = _is_prose(strategy_before, "strategy_before", before.size)
    return 2 * first + _is_prose(strategy_after, "strategy_after", before.size), before, after


def _is_prose(strategies: ArrayLike, name: str, rows: int) -> np.ndarray:
    labels = label_column(strategies, name, rows)
    known = np.isin(labels, [str(strategy) for strategy in Strategy])
    if not known.all():
        raise BadInput(f"{name} holds {labels[~known][0]!r}", do=f"give one of {[str(s) for s in Strategy]} per row")
    return (labels == str(Strategy.prose)).astype(np.int64)
