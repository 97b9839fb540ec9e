"""What share of problems would k samples solve, estimated from n samples of which c were right?

    pass@k = 1 - C(n-c, k) / C(n, k) = 1 - prod_{i=n-c+1..n} (1 - k/i);   1 where n - c < k

unbiased for 1 - (1 - p)^k. The product form never forms a binomial coefficient. Source: 2107.03374, used by 2504.13837
and 2506.01347. Left out: the mean over problems and its interval (`clustered_mean` of the array).
"""

import numpy as np
from numpy.typing import ArrayLike

from probe.errors import BadInput


def pass_at_k(n: ArrayLike, c: ArrayLike, k: ArrayLike) -> float | np.ndarray:
    """Probability that k of the n samples, drawn without replacement, hold at least one of the c right ones.

    n, c, k broadcast against one another; the result is a float where all three are scalars. BadInput unless whole
    numbers with 0 <= c <= n and 1 <= k <= n.
    """
    samples, right, draws = np.broadcast_arrays(_whole(n, "n"), _whole(c, "c"), _whole(k, "k"))
    if (right < 0).any() or (right > samples).any():
        raise BadInput("a problem has c right of n samples with c < 0 or c > n", do="give 0 <= c <= n")
    if (draws < 1).any() or (draws > samples).any():
        raise BadInput(
            f"pass@{draws.max()} asked of {samples.min()} samples", do="give 1 <= k <= n: more samples, or a smaller k"
        )
    miss = np.ones(samples.shape)
    for j in range(int(right.max(initial=0))):  # over i = n - j: memory stays at one array, however many samples
        miss = miss * np.where(j < right, 1 - draws / np.maximum(samples - j, 1), 1.0)
    solved = np.where(samples - right < draws, 1.0, 1 - miss)
    return float(solved) if solved.ndim == 0 else solved


def _whole(values: ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or not (np.isfinite(array) & (array == np.floor(array))).all():
        raise BadInput(f"{name} is not made of whole numbers", where="pass_at_k", do="give counts")
    return array.astype(np.int64)
