"""Paired permutation and Holm: exact values by hand, uniform under the null, planted effects, bad input."""

import math

import numpy as np
import pytest
from scipy import stats

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats import holm, paired_permutation


def test_exact_by_hand() -> None:
    """Totals 1, 1, 1: 2 of 8 sign patterns reach |3|. Adding a problem without change adds nothing."""
    assert paired_permutation([0, 0, 0], [1, 1, 1], ["a", "b", "c"], ("t",)) == 0.25
    assert paired_permutation([0, 0, 0, 1], [1, 1, 1, 1], ["a", "b", "c", "d"], ("t",)) == 0.25
    assert paired_permutation([0, 0, 0], [3, 2, 1], ["a", "b", "c"], ("t",)) == 0.25
    assert paired_permutation([0, 0], [1, -1], ["a", "b"], ("t",)) == 1.0


def test_rows_of_a_cluster_flip_together() -> None:
    assert paired_permutation(np.zeros(6), np.ones(6), ["a", "a", "a", "b", "b", "b"], ("t",)) == 0.5


def test_no_change_at_all() -> None:
    assert paired_permutation([0, 1, 1], [0, 1, 1], ["a", "b", "c"], ("t",)) == 1.0


def test_sampled_agrees_with_the_binomial_and_repeats() -> None:
    """Twenty problems change by 1, fifteen of them up: a sign test with p = 2 P(Bin(20, .5) >= 15)."""
    before, after = np.zeros(20), np.where(np.arange(20) < 15, 1.0, -1.0)
    p = paired_permutation(before, after, np.arange(20), ("t",), n_perm=20_000)
    assert p == pytest.approx(stats.binomtest(15, 20).pvalue, abs=0.005)
    assert p == paired_permutation(before, after, np.arange(20), ("t",), n_perm=20_000)
    assert p != paired_permutation(before, after, np.arange(20), ("u",), n_perm=20_000)


def test_direction_does_not_matter() -> None:
    rng = numpy_rng("test", "direction")
    before, after = rng.normal(size=40), rng.normal(size=40)
    ids = np.arange(40)
    assert paired_permutation(before, after, ids, ("t",)) == paired_permutation(after, before, ids, ("t",))


@pytest.mark.parametrize("problems", [10, 30])
def test_uniform_under_the_null(problems: int) -> None:
    found = []
    for index in range(300):
        rng = numpy_rng("test", "permutation null", index)
        shared = np.repeat(rng.normal(size=problems), 3)
        before, after = (shared + rng.normal(size=3 * problems) for _ in range(2))
        found.append(paired_permutation(before, after, np.repeat(np.arange(problems), 3), ("t", index), n_perm=499))
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_planted_effect_is_found() -> None:
    rng = numpy_rng("test", "plant")
    before = rng.random(200) < 0.4
    after = before | (rng.random(200) < 0.15)
    assert paired_permutation(before, after, np.arange(200), ("t",)) == 1 / 2001


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])
    np.testing.assert_allclose(holm([0.2]), [0.2])


def test_holm_bounds_the_family_error() -> None:
    """Ten true nulls: any rejection at .05 in at most about 5 % of families, against 40 % unadjusted."""
    raw = numpy_rng("test", "holm").random((2000, 10))
    rejected = np.mean([(holm(row) <= 0.05).any() for row in raw])
    assert 0.03 < rejected < 0.07
    assert (raw.min(axis=1) <= 0.05).mean() > 0.3


@pytest.mark.parametrize(
    ("before", "after", "clusters", "n_perm"),
    [
        ([], [], [], 10),
        ([1], [1, 2], ["a"], 10),
        ([1, 2], [1, 2], ["a"], 10),
        ([1, math.nan], [1, 2], ["a", "b"], 10),
        ([1, 2], [1, 2], ["a", "b"], 0),
    ],
)
def test_bad_columns(before: list[float], after: list[float], clusters: list[str], n_perm: int) -> None:
    with pytest.raises(BadInput):
        paired_permutation(before, after, clusters, ("t",), n_perm)


@pytest.mark.parametrize("p_values", [[], [0.1, math.nan], [0.1, 1.2], [-0.1]])
def test_bad_p_values(p_values: list[float]) -> None:
    with pytest.raises(BadInput):
        holm(p_values)
