"""pass@k: values by hand, the binomial identity, unbiasedness, bad counts."""

from math import comb

import numpy as np
import pytest

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats import pass_at_k


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [(4, 1, 1, 0.25), (4, 1, 2, 0.5), (4, 2, 2, 5 / 6), (5, 3, 3, 1.0), (5, 0, 5, 0.0), (5, 5, 1, 1.0), (1, 1, 1, 1.0)],
)
def test_by_hand(n: int, c: int, k: int, expected: float) -> None:
    value = pass_at_k(n, c, k)
    assert isinstance(value, float)
    assert value == pytest.approx(expected, abs=1e-15)


def test_equals_the_binomial_form_everywhere_small() -> None:
    for n in range(1, 13):
        c, k = (grid.ravel() for grid in np.meshgrid(np.arange(n + 1), np.arange(1, n + 1)))
        expected = [1 - comb(n - ci, ki) / comb(n, ki) for ci, ki in zip(c.tolist(), k.tolist(), strict=True)]
        np.testing.assert_allclose(pass_at_k(n, c, k), expected, atol=1e-13)


def test_large_counts_stay_finite_and_exact() -> None:
    exact = 1 - comb(10_000 - 37, 256) / comb(10_000, 256)
    assert pass_at_k(10_000, 37, 256) == pytest.approx(exact, abs=1e-12)


def test_broadcasts_problems_against_k() -> None:
    table = pass_at_k(8, np.array([[0], [1], [8]]), np.array([1, 2, 8]))
    assert table.shape == (3, 3)
    np.testing.assert_allclose(table, [[0, 0, 0], [0.125, 0.25, 1], [1, 1, 1]], atol=1e-15)


def test_unbiased_for_the_chance_that_one_of_k_is_right() -> None:
    right = numpy_rng("test", "passk").binomial(16, 0.2, size=20_000)
    estimate = np.asarray(pass_at_k(16, right, 4))
    assert estimate.mean() == pytest.approx(1 - 0.8**4, abs=4 * estimate.std() / 20_000**0.5)


@pytest.mark.parametrize(
    ("n", "c", "k"),
    [(4, 1, 5), (4, 5, 1), (4, -1, 1), (4, 1, 0), (0, 0, 1), (4, 1.5, 1), (float("nan"), 1, 1), ("4", 1, 1)],
)
def test_bad_counts(n: float, c: float, k: float) -> None:
    with pytest.raises(BadInput):
        pass_at_k(n, c, k)
