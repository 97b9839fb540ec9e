"""Seeds as replicates: by hand, coverage with seed and problem effects, refusals."""

import math

import numpy as np
import pytest
from scipy import stats

from probe.data import Estimate
from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats import clustered_mean, seeds_mean, two_level, wilson


def test_seeds_mean_by_hand() -> None:
    found = seeds_mean([0.1, 0.2, 0.3], name="gain", null=0.0, params={"reward": "random"})
    reach = stats.t.isf(0.025, 2) * 0.1 / math.sqrt(3)
    assert (found.value, found.hi) == pytest.approx((0.2, 0.2 + reach))
    assert (found.n, found.n_problems) == (3, 3)
    assert found.params == {"reward": "random", "n_seeds": 3}
    assert found.p == pytest.approx(stats.ttest_1samp([0.1, 0.2, 0.3], 0).pvalue)


def test_one_seed_says_nothing_about_others() -> None:
    assert math.isnan(seeds_mean([0.4], name="gain").lo)
    alone = two_level([0, 1, 1, 0], [0] * 4, np.arange(4), name="accuracy")
    assert alone.value == 0.5 and math.isnan(alone.lo)


def test_two_level_adds_both_variances() -> None:
    rng = numpy_rng("test", "two level", "sum")
    values, seeds, problems = rng.normal(size=60), np.repeat(np.arange(3), 20), np.tile(np.arange(20), 3)
    both = two_level(values, seeds, problems, name="x", unit="nats")
    by_seed, by_problem = (clustered_mean(values, by, name="x", unit="nats") for by in (seeds, problems))
    variances = [
        ((part.hi - part.value) / stats.t.isf(0.025, df)) ** 2 for part, df in ((by_seed, 2), (by_problem, 19))
    ]
    df = sum(variances) ** 2 / (variances[0] ** 2 / 2 + variances[1] ** 2 / 19)
    assert both.hi - both.value == pytest.approx(math.sqrt(sum(variances)) * stats.t.isf(0.025, df))
    assert (both.n, both.n_problems, both.params) == (60, 20, {"n_seeds": 3})


def test_two_level_without_spread_counts_the_seeds() -> None:
    found = two_level(np.zeros(30), np.repeat(np.arange(3), 10), np.tile(np.arange(10), 3), name="code_share")
    assert (found.lo, found.hi) == pytest.approx(wilson(0, 3))
    assert found.n_problems == 10


@pytest.mark.parametrize(
    ("seed_sd", "problem_sd", "most"), [(0.5, 0.2, 0.99), (0.05, 1.0, 0.99), (0.3, 0.6, 0.99), (0.0, 0.0, 1.0)]
)
def test_coverage_with_crossed_effects(seed_sd: float, problem_sd: float, most: float) -> None:
    seeds, problems = np.repeat(np.arange(5), 30), np.tile(np.arange(30), 5)

    def draw(index: int) -> Estimate:
        rng = numpy_rng("test", "two level", index)
        effects = seed_sd * rng.normal(size=5)[seeds] + problem_sd * rng.normal(size=30)[problems]
        return two_level(effects + rng.normal(size=150), seeds, problems, name="x", unit="nats")

    found = [draw(index) for index in range(400)]
    covered = np.mean([estimate.lo <= 0 <= estimate.hi for estimate in found])
    assert 0.92 <= covered <= most


def test_problems_alone_would_cover_too_little() -> None:
    """The reason for two levels: an interval over problems ignores that another seed lands elsewhere."""
    seeds, problems = np.repeat(np.arange(5), 30), np.tile(np.arange(30), 5)
    covered = 0
    for index in range(200):
        rng = numpy_rng("test", "one level", index)
        values = 0.5 * rng.normal(size=5)[seeds] + rng.normal(size=150)
        found = clustered_mean(values, problems, name="x", unit="nats")
        covered += found.lo <= 0 <= found.hi
    assert covered < 160


def test_bad_input() -> None:
    with pytest.raises(BadInput):
        seeds_mean([], name="x")
    with pytest.raises(BadInput):
        seeds_mean([0.1, math.nan], name="x")
    with pytest.raises(BadInput):
        two_level([0, 1], [0], ["a", "b"], name="x")
    with pytest.raises(BadInput):
        two_level([0, 1], [0, 1], ["a"], name="x")
