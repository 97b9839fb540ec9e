"""Two groups: published intervals, exact relabelling, coverage, uniform p under the null, AUROC and its interval."""

from itertools import combinations

import numpy as np
import pytest

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats import auroc
from probe.stats.groups import group_difference, group_mean, relabelled_p, separation


def shares(first: tuple[int, int], second: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rows = [np.repeat([1.0, 0.0], (hits, n - hits)) for hits, n in (first, second)]
    return np.concatenate(rows), np.repeat([True, False], (first[1], second[1]))


@pytest.mark.parametrize(  # Newcombe 1998, table II, method 10
    ("first", "second", "lo", "hi"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_shares_have_newcombes_interval(first: tuple[int, int], second: tuple[int, int], lo: float, hi: float) -> None:
    found = group_difference(*shares(first, second), name="x")
    assert (found.lo, found.hi) == (pytest.approx(lo, abs=1e-4), pytest.approx(hi, abs=1e-4))
    assert found.value == pytest.approx(first[0] / first[1] - second[0] / second[1])
    assert (found.n, found.n_problems, found.null) == (first[1] + second[1],) * 2 + (0.0,)


def test_equal_groups_of_measurements_have_nearly_welchs_interval() -> None:
    rng = numpy_rng("test welch")
    values = np.concatenate([rng.normal(1, 1, 400), rng.normal(0, 2, 400)])
    found = group_difference(values, np.repeat([True, False], 400), name="x", unit="nats")
    se = np.hypot(values[:400].std(ddof=1), values[400:].std(ddof=1)) / 20
    assert (found.hi - found.lo) / 2 == pytest.approx(1.96 * se, rel=0.01)
    assert found.value == pytest.approx(values[:400].mean() - values[400:].mean())


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng, hits = numpy_rng("test cover"), 0
    for _ in range(400):
        values = np.concatenate([rng.exponential(1.0, 40), rng.exponential(0.5, 60)])
        found = group_difference(values, np.arange(100) < 40, name="x", unit="nats")
        hits += found.lo <= 0.5 <= found.hi
    assert 0.91 <= hits / 400 <= 0.985


def test_a_mean_of_shares_is_wilsons_and_of_nats_a_t_interval() -> None:
    assert group_mean([0.0] * 20, name="x").hi == pytest.approx(0.1611, abs=1e-4)
    found = group_mean([1.0, 2.0, 3.0], name="x", unit="nats", params={"level": "a"})
    assert found.hi - found.value == pytest.approx(4.3027 / 3**0.5, rel=1e-4)
    assert found.params == {"level": "a"}


def test_relabelling_by_hand() -> None:
    """All ways to choose 3 of 7 problems, each as likely: 35, of which the observed is the furthest."""
    values, first = np.array([9.0, 8.0, 7.0, 1.0, 2.0, 3.0, 2.0]), np.arange(7) < 3
    gaps = [values[list(c)].sum() * 7 - values.sum() * 3 for c in combinations(range(7), 3)]
    exactly = np.mean(np.abs(gaps) >= abs(gaps[0]) - 1e-9)
    assert relabelled_p(values[:, None], first, ("hand",), 20_000)[0] == pytest.approx(exactly, abs=0.005)


def test_p_is_uniform_where_nothing_differs_and_small_where_something_does() -> None:
    rng, first = numpy_rng("test null"), np.arange(60) < 25
    null = np.column_stack([rng.normal(size=(60, 150)), rng.random((60, 150)) < 0.3]).astype(float)
    p = relabelled_p(null, first, ("null",), 1999)
    assert abs(np.mean(p < 0.05) - 0.05) < 0.04
    assert abs(np.mean(p[:150] < 0.5) - 0.5) < 0.13
    planted = null + first[:, None] * 3.0
    assert relabelled_p(planted, first, ("plant",), 1999).max() < 0.001


def test_p_has_the_draws_of_its_address_and_no_columns_disturb_it() -> None:
    values, first = numpy_rng("test address").normal(size=(30, 3)), np.arange(30) < 12
    alone = relabelled_p(values[:, :1], first, ("a",), 999)
    assert relabelled_p(values, first, ("a",), 999)[0] == alone[0]
    assert relabelled_p(values[:, :1], first, ("b",), 999)[0] != alone[0]


def test_a_constant_column_is_no_evidence() -> None:
    assert relabelled_p(np.zeros((20, 1)), np.arange(20) < 10, ("c",), 99)[0] == 1.0


def test_auroc_is_that_of_calibration_and_needs_no_scale() -> None:
    rng = numpy_rng("test auroc")
    scores, first = rng.integers(6, size=80) / 6, rng.random(80) < 0.4
    found = separation(scores, first, name="auroc")
    assert found.value == pytest.approx(auroc(scores, first))
    assert separation(100 * scores - 7, first, name="auroc").value == pytest.approx(found.value)
    assert separation(-scores, first, name="auroc").value == pytest.approx(1 - found.value)
    assert found.null == 0.5


def test_auroc_covers_as_often_as_it_says_and_perfect_is_not_certain() -> None:
    rng, hits, first = numpy_rng("test auroc cover"), 0, np.arange(90) < 40
    for _ in range(300):
        found = separation(rng.normal(size=90) + first, first, name="auroc")
        hits += found.lo <= 0.7602 <= found.hi  # Phi(1 / sqrt 2)
    assert 0.91 <= hits / 300 <= 0.985
    perfect = separation(first.astype(float), first, name="auroc")
    assert perfect.value == perfect.hi == 1.0
    assert 0.9 < perfect.lo < 1.0


@pytest.mark.parametrize(
    ("values", "first", "message"),
    [
        ([1.0, 2.0, 3.0], [1, 0, 0], "groups of 1 and 2 problems"),
        ([1.0, 2.0, 3.0, 4.0], [1, 1, 1, 1], "groups of 4 and 0"),
        ([1.0, np.nan, 3.0, 4.0], [1, 1, 0, 0], "missing or infinite"),
        ([1.0, 2.0, 3.0, 4.0], [1, 0, 0], "is_first has 3 rows"),
        ([1.0, 2.0, 3.0, 4.0], [2, 1, 0, 0], "is_first spans"),
    ],
)
def test_bad_input_is_named(values: list[float], first: list[int], message: str) -> None:
    for measure in (group_difference, separation):
        with pytest.raises(BadInput, match=message):
            measure(values, first, name="x")


def test_missing_values_are_no_columns_to_relabel() -> None:
    with pytest.raises(BadInput, match="missing values"):
        relabelled_p(np.full((6, 1), np.nan), np.arange(6) < 3, ("x",))
