"""Means, ratios and proportions: by hand, degenerate columns, coverage near 95 %, bad input."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from probe.data import Estimate
from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats import clustered_mean, clustered_ratio, wilson

DRAWS = 400


def coverage(truth: float, estimate: Callable[[int], Estimate]) -> float:
    intervals = [estimate(draw) for draw in range(DRAWS)]
    return float(np.mean([found.lo <= truth <= found.hi for found in intervals]))


def test_wilson_by_hand() -> None:
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(8, 10, level=0.9) == pytest.approx(
        stats.binomtest(8, 10).proportion_ci(0.9, method="wilson"), abs=1e-12
    )


@pytest.mark.parametrize(("successes", "n", "level"), [(1, 0, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_wilson_bad_input(successes: int, n: int, level: float) -> None:
    with pytest.raises(BadInput):
        wilson(successes, n, level)


def test_one_row_per_cluster_is_the_classical_t_interval() -> None:
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    found = clustered_mean(values, np.arange(5), name="length", unit="tokens", null=1.0)
    test = stats.ttest_1samp(values, 1.0)
    assert (found.lo, found.hi) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert found.p == pytest.approx(test.pvalue)
    assert (found.value, found.n, found.n_problems, found.unit, found.null) == (4.0, 5, 5, "tokens", 1.0)


def test_clusters_by_hand() -> None:
    """Two clusters of two: scores (1 + 1 - 2*.75)/4 = .125 and (1 + 0 - 1.5)/4 = -.125, se^2 = 2 * 2 * .125^2."""
    found = clustered_mean([1, 1, 1, 0], ["a", "a", "b", "b"], name="accuracy", unit="none")
    assert found.value == 0.75
    assert found.hi - found.value == pytest.approx(stats.t.isf(0.025, 1) * 0.25)


def test_repeating_every_row_changes_nothing() -> None:
    rng = numpy_rng("test", "repeat")
    values, clusters = rng.integers(2, size=60), np.repeat(np.arange(20), 3)
    once = clustered_mean(values, clusters, name="accuracy", null=0.4)
    thrice = clustered_mean(np.tile(values, 3), np.tile(clusters, 3), name="accuracy", null=0.4)
    assert (thrice.lo, thrice.hi, thrice.p) == pytest.approx((once.lo, once.hi, once.p))
    assert thrice.n == 180


def test_row_order_and_kind_of_label_change_nothing() -> None:
    values, clusters = np.array([0, 1, 1, 0, 1.0]), np.array([3, 3, 7, 7, 9])
    named = np.array([f"p{label}" for label in clusters], dtype=object)
    shuffled = [4, 2, 0, 3, 1]
    first = clustered_mean(values, clusters, name="accuracy")
    second = clustered_mean(values[shuffled], named[shuffled], name="accuracy")
    assert (first.lo, first.value, first.hi) == pytest.approx((second.lo, second.value, second.hi))


def test_no_spread_gives_wilson_over_clusters() -> None:
    clusters = np.repeat(np.arange(10), 4)
    none = clustered_mean(np.zeros(40), clusters, name="accuracy", null=0.1)
    every = clustered_mean(np.ones(40), clusters, name="accuracy", null=1.0)
    assert (none.lo, none.hi) == pytest.approx(wilson(0, 10))
    assert (every.lo, every.hi) == pytest.approx(wilson(10, 10))
    assert none.p == pytest.approx(2 * stats.norm.sf(0.1 / math.sqrt(0.1 * 0.9 / 10)))  # the score test
    assert every.p == 1.0


def test_no_spread_of_a_difference_is_open_to_both_sides() -> None:
    same = clustered_mean(np.zeros(50), np.arange(50), name="gain", null=0.0, bounds=(-1, 1))
    width = wilson(0, 50)[1]
    assert (same.lo, same.hi, same.p) == (pytest.approx(-width), pytest.approx(width), 1.0)


def test_no_spread_without_bounds() -> None:
    found = clustered_mean([7.0] * 6, np.arange(6), name="length", unit="tokens", null=0.0)
    assert (found.lo, found.hi, found.p) == (7.0, 7.0, 2.0**-5)


def test_one_cluster_has_no_interval() -> None:
    found = clustered_mean([0, 1, 1], ["a"] * 3, name="accuracy", null=0.5)
    assert found.value == pytest.approx(2 / 3)
    assert math.isnan(found.lo) and math.isnan(found.hi) and math.isnan(found.p or 0.0)


def test_fractions_are_clipped_and_differences_are_not() -> None:
    share = clustered_mean([0, 0, 0, 1], np.arange(4), name="share")
    difference = clustered_mean([0, 0, -1, 1], np.arange(4), name="gain")
    assert share.lo == 0.0
    assert difference.lo < -0.5


def test_ratio_of_one_strategy() -> None:
    """Accuracy within code: 2 of 3 code rows right; the prose-only problem does not count."""
    right, code = np.array([1, 0, 1, 1, 0]), np.array([1, 1, 1, 0, 0])
    found = clustered_ratio(right * code, code, ["a", "a", "b", "b", "c"], name="accuracy_code")
    assert found.value == pytest.approx(2 / 3)
    assert (found.n, found.n_problems) == (3, 2)


def test_ratio_with_unit_denominator_is_the_mean() -> None:
    values, clusters = numpy_rng("test", "ratio").integers(2, size=40), np.repeat(np.arange(10), 4)
    mean = clustered_mean(values, clusters, name="accuracy", null=0.5)
    assert clustered_ratio(values, np.ones(40), clusters, name="accuracy", null=0.5) == mean


def test_ratio_over_nothing_is_undefined() -> None:
    found = clustered_ratio([0, 0], [0, 0], ["a", "b"], name="accuracy_code", null=0.0)
    assert math.isnan(found.value) and math.isnan(found.lo)
    assert (found.n, found.n_problems) == (0, 0)


def test_coverage_of_the_clustered_mean() -> None:
    """Problems differ in difficulty (Beta(2, 2)), five samples each: independent rows would cover too little."""

    def draw(index: int, clusters: np.ndarray) -> Estimate:
        rng = numpy_rng("test", "coverage", index)
        ability = np.repeat(rng.beta(2, 2, size=40), 5)
        return clustered_mean(rng.random(200) < ability, clusters, name="accuracy")

    assert 0.92 <= coverage(0.5, lambda i: draw(i, np.repeat(np.arange(40), 5))) <= 0.98
    assert coverage(0.5, lambda i: draw(i, np.arange(200))) < 0.91


def test_coverage_of_the_clustered_ratio() -> None:
    """Code share rises with ability, so numerator and denominator go together; truth E[ability^2] / E[ability] = .6."""

    def draw(index: int) -> Estimate:
        rng = numpy_rng("test", "ratio coverage", index)
        ability = np.repeat(rng.beta(2, 2, size=50), 4)
        code, right = rng.random(200) < ability, rng.random(200) < ability
        return clustered_ratio(right & code, code, np.repeat(np.arange(50), 4), name="accuracy_code")

    assert 0.92 <= coverage(0.6, draw) <= 0.98


def test_p_is_uniform_under_the_null() -> None:
    found = []
    for index in range(DRAWS):
        rng = numpy_rng("test", "null p", index)
        values = np.repeat(rng.normal(size=30), 2) + rng.normal(size=60)
        found.append(clustered_mean(values, np.repeat(np.arange(30), 2), name="x", unit="none", null=0.0).p)
    assert stats.kstest(found, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    ("values", "clusters"),
    [
        ([], []),
        ([0.5, math.nan], ["a", "b"]),
        ([0.5, None], ["a", "b"]),
        ([0.5, 1.0], ["a"]),
        ([0.5, 1.0], ["a", None]),
        ([0.5, 1.0], [0.0, math.nan]),
        ([[0.5, 1.0]], ["a"]),
        ([0.5, 1.0], [["a", "b"]]),
        (["x", "y"], ["a", "b"]),
    ],
)
def test_bad_columns(values: list[float], clusters: list[str]) -> None:
    with pytest.raises(BadInput):
        clustered_mean(values, clusters, name="accuracy")


def test_bad_ratio_and_level() -> None:
    with pytest.raises(BadInput, match="denom"):
        clustered_ratio([1, 1], [1, -1], ["a", "b"], name="x")
    with pytest.raises(BadInput, match="denom has 1 rows"):
        clustered_ratio([1, 1], [1], ["a", "b"], name="x")
    with pytest.raises(BadInput, match="level"):
        clustered_mean([0, 1], ["a", "b"], name="x", level=95)
