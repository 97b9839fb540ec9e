"""Resampling whole problems: agreement with the analytic interval, parity of both paths, addresses, undefined draws."""

import math

import numpy as np
import pytest

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats import clustered_bootstrap, clustered_mean, ece
from probe.stats.bootstrap import bootstrap_totals
from probe.stats.checks import cluster_codes, cluster_totals


def mean_y(columns: dict[str, np.ndarray]) -> float:
    return float(columns["y"].mean())


def graded(problems: int = 60, samples: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = numpy_rng("test", "bootstrap", problems)
    ability = np.repeat(rng.beta(2, 2, size=problems), samples)
    return (rng.random(problems * samples) < ability).astype(float), np.repeat(np.arange(problems), samples)


def test_a_mean_gets_about_its_analytic_interval() -> None:
    y, clusters = graded()
    analytic = clustered_mean(y, clusters, name="accuracy", null=0.5)
    resampled = clustered_bootstrap(mean_y, {"y": y}, clusters, name="accuracy", address=("t",), null=0.5, n_boot=2000)
    assert resampled.value == pytest.approx(analytic.value)
    assert (resampled.lo, resampled.hi) == pytest.approx((analytic.lo, analytic.hi), abs=0.01)
    assert resampled.p == pytest.approx(analytic.p, abs=0.1)
    assert (resampled.n, resampled.n_problems) == (240, 60)


def test_both_paths_see_the_same_draws() -> None:
    y, clusters = graded(problems=15)
    extra = clusters % 3 != 0  # unequal problems
    y, clusters = np.append(y, y[extra]), np.append(clusters, clusters[extra])
    slow = clustered_bootstrap(mean_y, {"y": y}, clusters, name="accuracy", address=("t", 1), n_boot=200)
    codes = cluster_codes(clusters, y.size)
    zero = np.zeros(y.size, dtype=int)
    totals = np.hstack([cluster_totals(y, codes, zero, 1), cluster_totals(np.ones(y.size), codes, zero, 1)])
    draws = bootstrap_totals(lambda t: t[:, :1] / t[:, 1:], totals, address=("t", 1), n_boot=200)
    assert (slow.lo, slow.hi) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])))


def test_the_address_decides_the_draws() -> None:
    y, clusters = graded()
    order = numpy_rng("test", "order").permutation(y.size)
    found = [
        clustered_bootstrap(mean_y, {"y": y[rows]}, clusters[rows], name="accuracy", address=address, n_boot=50)
        for rows, address in ((slice(None), ("a",)), (order, ("a",)), (slice(None), ("b",)))
    ]
    assert (found[0].lo, found[0].hi) == pytest.approx((found[1].lo, found[1].hi))
    assert found[0].lo != found[2].lo


def test_a_biased_statistic_keeps_its_value_inside() -> None:
    """Perfectly calibrated answers: every resample has a larger ECE than the data."""
    q, clusters = np.repeat([0.25, 0.75], 40), np.arange(80)
    y = np.tile([1, 0, 0, 0], 10).tolist() + np.tile([1, 1, 1, 0], 10).tolist()
    found = clustered_bootstrap(
        lambda c: ece(c["q"], c["y"]), {"q": q, "y": y}, clusters, name="ece", address=("t",), n_boot=100
    )
    assert found.value == found.lo == 0.0
    assert found.hi > 0.02


def test_a_planted_difference_is_found() -> None:
    y, clusters = graded()
    found = clustered_bootstrap(mean_y, {"y": y}, clusters, name="x", address=("t",), null=0.9, n_boot=200)
    assert found.p == pytest.approx(2 / 201)
    assert found.hi < 0.9


def test_undefined_draws_are_left_out_or_void_the_interval() -> None:
    def share_of_hits(columns: dict[str, np.ndarray]) -> float:
        hits = columns["hit"].sum()
        return float(columns["y"].sum() / hits) if hits else math.nan

    rare = {"hit": np.eye(1, 20)[0], "y": np.eye(1, 20)[0]}
    common = {"hit": np.ones(20), "y": np.arange(20) % 2}
    void, whole = (
        clustered_bootstrap(share_of_hits, columns, np.arange(20), name="x", address=("t",), n_boot=100)
        for columns in (rare, common)
    )
    assert void.value == 1.0 and math.isnan(void.lo)
    assert whole.lo < 0.5 < whole.hi


def test_one_cluster_has_no_interval() -> None:
    found = clustered_bootstrap(mean_y, {"y": [0, 1]}, ["a", "a"], name="x", address=("t",), n_boot=10)
    assert found.value == 0.5 and math.isnan(found.hi)


@pytest.mark.parametrize(
    ("columns", "clusters", "n_boot"),
    [
        ({}, [], 10),
        ({"y": []}, [], 10),
        ({"y": [1, 2], "x": [1]}, ["a", "b"], 10),
        ({"y": [1, 2]}, ["a"], 10),
        ({"y": [1, 2]}, ["a", "b"], 0),
    ],
)
def test_bad_input(columns: dict[str, list[float]], clusters: list[str], n_boot: int) -> None:
    with pytest.raises(BadInput):
        clustered_bootstrap(mean_y, columns, clusters, name="x", address=("t",), n_boot=n_boot)
