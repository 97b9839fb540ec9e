"""Strategy switches: the five rows behind 2506.10947 Table 2 and their mean, the same from paired rows, bad input."""

import math

import numpy as np
import pytest

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats import CELLS, switch_contributions, switch_counts, switch_estimates

# reward: n, right before, right after per cell CC, CL, LC, LL; accuracy after, C_d in percent (2506.10947, N = 500)
GOLDEN = {
    "ground truth": ([165, 160, 72, 103], [105, 93, 20, 29], [119, 125, 56, 91], 78.2, [9.7, 22.2, 25.0, 43.1]),
    "majority": ([243, 82, 119, 56], [148, 50, 28, 21], [172, 64, 96, 50], 76.4, [17.8, 10.4, 50.4, 21.5]),
    "format": ([314, 11, 152, 23], [191, 7, 36, 13], [212, 5, 119, 21], 71.4, [19.1, -1.8, 75.5, 7.3]),
    "incorrect": ([301, 24, 129, 46], [182, 16, 29, 20], [210, 20, 100, 38], 73.6, [23.1, 3.3, 58.7, 14.9]),
    "random": ([268, 57, 142, 33], [164, 34, 34, 15], [155, 41, 98, 31], 65.0, [-11.5, 9.0, 82.1, 20.5]),
}


def rows_of(reward: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Paired rows with exactly the golden counts."""
    n, before, after, *_ = GOLDEN[reward]
    cell = np.repeat(CELLS, n)
    first, second = (np.where([name[place] == "C" for name in cell], "code", "prose") for place in (0, 1))
    right = [np.concatenate([np.arange(size) < k for size, k in zip(n, hits, strict=True)]) for hits in (before, after)]
    return first, second, *right


@pytest.mark.parametrize("reward", GOLDEN)
def test_golden_row(reward: str) -> None:
    n, before, after, accuracy, expected = GOLDEN[reward]
    assert [round(100 * share, 1) for share in switch_contributions(n, before, after).tolist()] == expected
    assert sum(n) == 500 and sum(before) == 247
    assert round(100 * sum(after) / sum(n), 1) == accuracy


def test_golden_mean_row_and_gain() -> None:
    n, before, after = (np.array([row[place] for row in GOLDEN.values()]) for place in range(3))
    mean = 100 * switch_contributions(n, before, after).mean(0)
    assert mean.round(1).tolist() == [11.6, 8.6, 58.3, 21.4]
    assert round(float((after - before).sum(1).mean() / 5), 1) == 23.5


@pytest.mark.parametrize("reward", GOLDEN)
def test_rows_give_the_counts_back(reward: str) -> None:
    counts = switch_counts(*rows_of(reward))
    for found, expected in zip(counts, GOLDEN[reward][:3], strict=True):
        assert found.tolist() == expected


def test_estimates_hold_the_golden_values() -> None:
    columns = rows_of("random")
    found = switch_estimates(*columns, np.arange(500), address=("t",), n_boot=400, params={"reward": "random"})
    table = {(row.name, row.params["cell"]): row for row in found}
    assert len(table) == 12 and all(row.params["reward"] == "random" for row in found)
    for cell, percent in zip(CELLS, GOLDEN["random"][4], strict=True):
        assert table["switch_contribution", cell].value == pytest.approx(percent / 100, abs=5e-4)
    assert sum(table["switch_gain", cell].value for cell in CELLS) == pytest.approx(0.156)
    assert sum(table["switch_share", cell].value for cell in CELLS) == pytest.approx(1)
    moved = table["switch_gain", "LC"]
    assert moved.lo > 0 and moved.p is not None and moved.p < 1e-6
    assert table["switch_contribution", "LC"].lo > table["switch_contribution", "CC"].hi
    assert (moved.n, moved.n_problems) == (500, 500)


def test_clusters_widen_the_interval() -> None:
    columns = [np.tile(column, 4) for column in rows_of("majority")]
    together = switch_estimates(*columns, np.tile(np.arange(500), 4), address=("t",), n_boot=200)
    apart = switch_estimates(*columns, np.arange(2000), address=("t",), n_boot=200)
    for wide, narrow in zip(together, apart, strict=True):
        assert wide.value == pytest.approx(narrow.value)
        assert (wide.hi - wide.lo) / (narrow.hi - narrow.lo) == pytest.approx(2, abs=0.5)


def test_the_same_checkpoint_twice_has_no_gain_to_share_out() -> None:
    first, _, right, _ = rows_of("random")
    same = switch_estimates(first, first, right, right, np.arange(500), address=("t",), n_boot=20)
    for row in same:
        if row.name == "switch_contribution":
            assert math.isnan(row.value) and math.isnan(row.lo)
        if row.name == "switch_gain":
            assert (row.value, row.p) == (0.0, 1.0)


def test_two_seeds_of_one_checkpoint_reject_at_the_stated_rate() -> None:
    first, second, *_ = rows_of("majority")
    p_values = []
    for index in range(100):
        before, after = numpy_rng("test", "null pair", index).random((2, 500)) < 0.5
        found = switch_estimates(first, second, before, after, np.arange(500), address=("t",), n_boot=2)
        p_values += [row.p for row in found if row.name == "switch_gain"]
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.085


def test_no_gain_is_undefined_not_zero() -> None:
    assert np.isnan(switch_contributions([1, 1, 1, 1], [1, 0, 0, 0], [0, 1, 0, 0])).all()


@pytest.mark.parametrize(
    ("n", "before", "after"),
    [
        ([1, 1, 1], [0, 0, 0], [1, 1, 1]),
        ([1, 1, 1, 1], [2, 0, 0, 0], [1, 1, 1, 1]),
        ([1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, -1]),
        ([1, 1, 1, math.nan], [0, 0, 0, 0], [1, 1, 1, 1]),
        (1, 0, 1),
    ],
)
def test_bad_counts(n: list[int], before: list[int], after: list[int]) -> None:
    with pytest.raises(BadInput):
        switch_contributions(n, before, after)


@pytest.mark.parametrize(
    ("first", "second", "before", "after"),
    [
        (["code"], ["python"], [1], [1]),
        (["code", None], ["code", "code"], [1, 0], [1, 0]),
        (["code", "code"], ["code"], [1, 0], [1, 0]),
        (["code"], ["code"], [0.5], [1]),
        (["code"], ["code"], [1], [1, 1]),
        ([], [], [], []),
    ],
)
def test_bad_rows(first: list[str], second: list[str], before: list[float], after: list[float]) -> None:
    with pytest.raises(BadInput):
        switch_counts(first, second, before, after)
