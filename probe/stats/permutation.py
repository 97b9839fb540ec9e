"""Could a difference this large come from swapping before and after at random? And after testing many things?

Under the null a problem's before and after are exchangeable, so the sign of its total difference is a coin flip:

    d_g = sum_{i in g} (after_i - before_i);    p = P(|sum_g +-d_g| >= |sum_g d_g|)

All 2^G sign patterns where G <= 12 clusters have d_g != 0 (exact), else n_perm addressed ones, counting the observed
one: p = (1 + hits) / (1 + n_perm) (Phipson & Smyth 2010). Two-sided. Holm (1979) for families of tests.
Left out: unpaired comparisons.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats.checks import cluster_codes, column

EXACT_CLUSTERS = 12


def paired_permutation(
    before: ArrayLike, after: ArrayLike, clusters: ArrayLike, address: tuple[str | int, ...], n_perm: int = 2000
) -> float:
    """Two-sided p of no change from `before` to `after` `[row]`, paired by row, flipped by whole `clusters` `[row]`."""
    first = column(before, "before")
    change = column(after, "after", rows=first.size) - first
    codes, n_clusters = cluster_codes(clusters, first.size)
    if n_perm < 1:
        raise BadInput(f"n_perm is {n_perm}", do="give at least 1 permutation; 2000 is usual")
    totals = np.bincount(codes, change, minlength=n_clusters)
    totals = totals[totals != 0]  # a problem without a difference contributes nothing under either sign
    if totals.size <= EXACT_CLUSTERS:
        return float(_hits(_patterns(totals.size), totals).mean())
    rng = numpy_rng(*address, "permutation")
    batches = [rng.integers(2, size=(min(500, n_perm - start), totals.size)) for start in range(0, n_perm, 500)]
    hits = sum(int(_hits(flips, totals).sum()) for flips in batches)
    return (1 + hits) / (1 + n_perm)


def holm(p_values: ArrayLike) -> Float[np.ndarray, "test"]:
    """Step-down adjusted p-values `[test]`, in the order given: running max of (m - j + 1) p_(j), at most 1."""
    raw = column(p_values, "p_values", low=0.0, high=1.0)
    order = np.argsort(raw, kind="stable")
    stepped = np.maximum.accumulate(raw[order] * np.arange(raw.size, 0, -1))
    adjusted = np.empty(raw.size)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _patterns(clusters: int) -> np.ndarray:
    return (np.arange(2**clusters)[:, None] >> np.arange(clusters)) & 1


def _hits(flips: np.ndarray, totals: Float[np.ndarray, "cluster"]) -> np.ndarray:
    """Whether each pattern's sum is at least as far from 0 as the observed one; rounding counts as a tie."""
    reach = np.abs((1 - 2 * flips) @ totals)
    return reach >= abs(totals.sum()) - 1e-9 * np.abs(totals).sum()
