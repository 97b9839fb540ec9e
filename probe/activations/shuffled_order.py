"""In which order are N rows visited, when a permutation of them would not fit into memory?

A keyed bijection of 0..N-1, computed place by place: a Feistel network on 2h bits, 4^h >= N, h as small as that allows.
What it sends outside of 0..N-1 is sent on until it lands inside (cycle walking: fewer than 4 rounds on average).

    (left, right) -> (right, left xor F(right, key)),   F the finaliser of splitmix64,   8 rounds, keys from the address
"""

import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike

from probe.errors import BadInput
from probe.rng import numpy_rng

ROUNDS = 8
_GOLDEN, _FIRST, _SECOND = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def shuffled(places: ArrayLike, n: int, *address: str | int) -> Int[np.ndarray, "row"]:
    """Which of `n` rows stands at each of `places` in the order of that address; BadInput for places outside of it."""
    asked = np.asarray(places, dtype=np.int64)
    if n < 1 or (asked.size and not 0 <= asked.min() <= asked.max() < n):
        raise BadInput(f"places outside of 0 to {n - 1}", where="shuffled", do="give places of rows that are there")
    half = max(1, -(-int(n - 1).bit_length() // 2))
    keys = numpy_rng(*address, "order").integers(0, 2**64, size=ROUNDS, dtype=np.uint64)
    numbers = _feistel(asked.astype(np.uint64), half, keys)
    while (outside := numbers >= n).any():
        numbers[outside] = _feistel(numbers[outside], half, keys)
    return numbers.astype(np.int64)


def _feistel(values: np.ndarray, half: int, keys: np.ndarray) -> np.ndarray:
    mask, shift = np.uint64((1 << half) - 1), np.uint64(half)
    left, right = values >> shift, values & mask
    for key in keys:
        left, right = right, left ^ (_mixed(right + key) & mask)
    return (left << shift) | right


def _mixed(x: np.ndarray) -> np.ndarray:
    x = x * _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))
