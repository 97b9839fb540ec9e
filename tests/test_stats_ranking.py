"""AUROC: by hand, strata, its interval against DeLong's, and what it does when there is nothing to rank."""

import numpy as np
import pytest
from scipy import stats

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats import auroc
from probe.stats.ranking import clustered_auroc, ranked


def test_by_hand() -> None:
    # yes .9 beats both, yes .4 beats .1 and ties .4: 3.5 of 4 pairs
    value, moves = ranked([0.9, 0.4, 0.4, 0.1], [1, 1, 0, 0])
    assert value == pytest.approx(3.5 / 4)
    assert moves == pytest.approx(np.array([1 - 0.875, 0.75 - 0.875, 0.75 - 0.875, 1 - 0.875]) / 2)


def test_any_scores_and_the_old_auroc_agree() -> None:
    rng = numpy_rng("ranking", "agree")
    scores, labels = rng.normal(size=80), rng.integers(0, 2, size=80)
    unit = (scores - scores.min()) / np.ptp(scores)
    assert ranked(scores, labels)[0] == pytest.approx(auroc(unit, labels))
    assert ranked(scores * 7 - 3, labels)[0] == pytest.approx(ranked(scores, labels)[0])
    assert ranked(-scores, labels)[0] == pytest.approx(1 - ranked(scores, labels)[0])


def test_strata_are_not_compared() -> None:
    scores = np.array([1.0, 0.0, 101.0, 100.0])
    labels = np.array([1, 0, 0, 1])
    assert ranked(scores, labels, [0, 0, 1, 1])[0] == pytest.approx(0.5)  # 1 of 2 pairs
    assert ranked(scores, labels)[0] == pytest.approx(0.5)
    assert ranked(scores, [1, 0, 1, 0], [0, 0, 1, 1])[0] == 1.0
    assert ranked(scores, [1, 0, 1, 0])[0] == 0.75


def test_moves_sum_to_nothing_in_every_case() -> None:
    rng = numpy_rng("ranking", "moves")
    for draw in range(20):
        labels = rng.integers(0, 2, size=40)
        scores = rng.integers(0, 5, size=40).astype(float)  # ties
        value, moves = ranked(scores, labels, rng.integers(0, 3, size=40))
        assert abs(moves.sum()) < 1e-12, draw
        assert 0 <= value <= 1


def test_the_moves_are_the_derivative_by_the_weight_of_a_row() -> None:
    """Repeating every row but one 200 times shrinks that row's weight: the statistic moves as its move says."""
    scores, labels, strata = np.array([3.0, 1, 2, 0, 4, 1]), np.array([1, 1, 0, 0, 0, 1]), np.array([0, 0, 0, 0, 1, 1])
    value, moves = ranked(scores, labels, strata)
    for row in range(6):
        counts = np.full(6, 200)
        counts[row] += 1
        again = ranked(np.repeat(scores, counts), np.repeat(labels, counts), np.repeat(strata, counts))[0]
        assert (again - value) * 200 == pytest.approx(moves[row], abs=2e-3)


def test_interval_is_delongs_with_one_row_a_problem() -> None:
    rng = numpy_rng("ranking", "delong")
    labels = np.repeat([1, 0], [60, 40])
    scores = rng.normal(size=100) + labels
    found = clustered_auroc(scores, labels, np.arange(100), name="a")
    above = (scores[:60, None] > scores[None, 60:]).astype(float)
    v10, v01 = above.mean(1), above.mean(0)
    se = np.sqrt(v10.var(ddof=1) / 60 + v01.var(ddof=1) / 40)
    reach = se * stats.t.isf(0.025, 99)
    assert found.value - found.lo == pytest.approx(reach, rel=0.02)  # CR1 divides by n - 1 once, DeLong by class


def test_clusters_widen_the_interval_and_coverage_holds() -> None:
    rng, inside, single = numpy_rng("ranking", "cover"), 0, 0
    for _ in range(200):
        shift = np.repeat(rng.normal(size=40), 5)
        labels = np.repeat(rng.integers(0, 2, size=40), 5)
        scores, problem = shift + 0.1 * rng.normal(size=200), np.repeat(np.arange(40), 5)
        if np.unique(labels).size == 2:
            found = clustered_auroc(scores, labels, problem, name="a")
            naive = clustered_auroc(scores, labels, np.arange(200), name="a")
            inside += found.lo <= 0.5 <= found.hi
            single += naive.lo <= 0.5 <= naive.hi
    assert inside >= 184  # 92 % of 200 and more
    assert single < 150


def test_one_class_has_no_auroc() -> None:
    found = clustered_auroc([1.0, 2.0], [1, 1], ["a", "b"], name="a")
    assert np.isnan(found.value)
    assert found.n_problems == 2
    assert np.isnan(ranked([1.0, 2.0], [1, 0], [0, 1])[0])


@pytest.mark.parametrize(
    ("scores", "labels", "strata"),
    [([1.0, np.nan], [0, 1], None), ([1.0, 2.0], [0, 2], None), ([1.0], [0, 1], None), ([1.0, 2.0], [0, 1], [0])],
)
def test_bad_input(scores: list, labels: list, strata: list | None) -> None:
    with pytest.raises(BadInput):
        ranked(scores, labels, strata)
