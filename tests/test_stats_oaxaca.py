"""Gain accounting: exact sums over random tables, pure cases by hand, absent strategies, coverage, bad input."""

import math

import numpy as np
import pytest

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats import Graded, gain_estimates, gain_parts
from probe.stats.oaxaca import PARTS


def random_counts(index: int, batch: int, strategies: int) -> dict[str, np.ndarray]:
    """Random tables with many empty strategies and sides where nothing parses."""
    rng = numpy_rng("test", "tables", index)
    table = {}
    for side in ("before", "after"):
        n = rng.integers(0, 6, size=(batch, strategies)) * rng.integers(0, 2, size=(batch, strategies))
        table[f"n_{side}"], table[f"right_{side}"] = n, rng.integers(0, n + 1)
        table[f"unparsed_{side}"] = rng.integers(1, 4, size=batch)
    return table


@pytest.mark.parametrize("strategies", [1, 2, 4])
def test_parts_sum_to_the_total_on_random_tables(strategies: int) -> None:
    table = random_counts(strategies, 2000, strategies)
    parts = gain_parts(**table)
    accuracy = {
        side: table[f"right_{side}"].sum(-1) / (table[f"n_{side}"].sum(-1) + table[f"unparsed_{side}"])
        for side in ("before", "after")
    }
    np.testing.assert_allclose(parts["total"], accuracy["after"] - accuracy["before"], atol=1e-14)
    np.testing.assert_allclose(parts["parse"] + parts["mix"] + parts["within"], parts["total"], atol=1e-14)


def test_swapping_the_sides_flips_every_sign() -> None:
    table = random_counts(9, 500, 3)
    swapped = {
        key.replace("before", "x").replace("after", "before").replace("x", "after"): v for key, v in table.items()
    }
    forward, backward = gain_parts(**table), gain_parts(**swapped)
    for part in PARTS:
        np.testing.assert_allclose(forward[part], -backward[part], atol=1e-14)


def test_pure_mix() -> None:
    """Code 80 % right, prose 20 %, shares 25/75 -> 75/25: all .3 of the gain is mix."""
    parts = gain_parts([20, 60], [16, 12], [60, 20], [48, 4])
    assert {part: float(value) for part, value in parts.items()} == pytest.approx(
        {"parse": 0, "mix": 0.3, "within": 0, "total": 0.3}
    )


def test_pure_within_and_pure_parse() -> None:
    within = gain_parts([50, 50], [10, 20], [50, 50], [20, 30])
    assert (float(within["within"]), float(within["mix"])) == pytest.approx((0.2, 0))
    parse = gain_parts([20, 20], [10, 5], [40, 40], [20, 10], unparsed_before=40)
    assert (float(parse["parse"]), float(parse["total"])) == pytest.approx((0.1875, 0.1875))


def test_by_hand_with_everything_moving() -> None:
    """p .5 -> 1; code share .5 -> .75; code accuracy .6 -> .8, prose .2 -> .4; accuracy .2 -> .7."""
    parts = gain_parts([5, 5], [3, 1], [15, 5], [12, 2], unparsed_before=10)
    assert float(parts["parse"]) == pytest.approx(0.5 * (0.4 + 0.7) / 2)
    assert float(parts["mix"]) == pytest.approx(0.75 * (0.25 * 0.7 - 0.25 * 0.3))
    assert float(parts["within"]) == pytest.approx(0.75 * (0.2 * 0.625 + 0.2 * 0.375))
    assert float(parts["total"]) == pytest.approx(0.5)


def test_a_strategy_absent_on_one_side_counts_as_mix() -> None:
    """All prose at 20 % before, all code at 80 % after: no within-strategy change can be known."""
    parts = gain_parts([0, 10], [0, 2], [10, 0], [8, 0])
    assert (float(parts["mix"]), float(parts["within"])) == pytest.approx((0.6, 0))


def test_nothing_parsed_on_one_side_counts_as_parse() -> None:
    parts = gain_parts([0, 0], [0, 0], [5, 5], [4, 2], unparsed_before=10)
    assert (float(parts["parse"]), float(parts["mix"]), float(parts["within"])) == pytest.approx((0.6, 0, 0))
    none = gain_parts([0], [0], [0], [0], unparsed_before=3, unparsed_after=3)
    assert all(float(value) == 0 for value in none.values())


def test_golden_random_reward_is_mostly_mix() -> None:
    """2506.10947, random reward, regrouped by strategy: code 325/198 right -> 410/253, prose 175/49 -> 90/72."""
    parts = gain_parts([325, 175], [198, 49], [410, 90], [253, 72])
    assert float(parts["total"]) == pytest.approx(0.156)
    assert float(parts["mix"]) == pytest.approx(0.17 * (198 / 325 + 253 / 410 - 49 / 175 - 72 / 90) / 2)
    assert float(parts["mix"] + parts["within"]) == pytest.approx(0.156)


def responses(index: int, share: float, accuracy: tuple[float, float], parse: float, problems: int = 150) -> Graded:
    """Three samples per problem; problems differ in how much they invite code; independent of correctness."""
    rng = numpy_rng("test", "graded", index)
    lean = np.repeat(rng.uniform(-0.2, 0.2, size=problems), 3)
    code = rng.random(3 * problems) < share + lean
    parsed = rng.random(3 * problems) < parse
    right = parsed & (rng.random(3 * problems) < np.where(code, *accuracy))
    return Graded(np.repeat(np.arange(problems), 3), np.where(code, "code", "prose"), right, parsed)


def parts_of(before: Graded, after: Graded, **options: int) -> dict[str, tuple[float, float, float]]:
    found = gain_estimates(before, after, address=("t",), **options)
    return {row.params["part"]: (row.value, row.lo, row.hi) for row in found}


def test_planted_mix_shift_is_found_and_nothing_else() -> None:
    before, after = responses(0, 0.3, (0.8, 0.3), 1.0), responses(1, 0.7, (0.8, 0.3), 1.0)
    rows = {row.params["part"]: row for row in gain_estimates(before, after, address=("t",), n_boot=500)}
    assert rows["mix"].lo > 0.1 and rows["mix"].p == pytest.approx(2 / 501)
    assert rows["within"].lo < 0 < rows["within"].hi
    assert (rows["parse"].value, rows["parse"].lo, rows["parse"].hi, rows["parse"].p) == (0, 0, 0, 1)
    assert sum(rows[part].value for part in PARTS[:3]) == pytest.approx(rows["total"].value)
    assert (rows["total"].n, rows["total"].n_problems, rows["total"].null) == (900, 150, 0.0)


def test_null_pair_of_one_checkpoint_is_zero() -> None:
    same = responses(3, 0.5, (0.8, 0.3), 0.9)
    assert parts_of(same, same, n_boot=20) == dict.fromkeys(PARTS, (0.0, 0.0, 0.0))


def test_coverage_of_every_part() -> None:
    """Truth from the generating rates: p .8 -> .95, share .4 -> .6, accuracies (.7, .3) -> (.8, .3)."""
    truth = gain_parts([0.4, 0.6], [0.28, 0.18], [0.6, 0.4], [0.48, 0.12], unparsed_before=0.25, unparsed_after=1 / 19)
    covered = dict.fromkeys(PARTS, 0)
    for index in range(200):
        before = responses(2 * index, 0.4, (0.7, 0.3), 0.8, problems=60)
        after = responses(2 * index + 1, 0.6, (0.8, 0.3), 0.95, problems=60)
        for part, (_, lo, hi) in parts_of(before, after, n_boot=200).items():
            covered[part] += lo <= float(truth[part]) <= hi
    assert all(0.89 <= count / 200 <= 0.99 for count in covered.values()), covered


def test_different_numbers_of_samples_and_one_sided_strategies() -> None:
    before = Graded(["a", "b", "c"], ["prose"] * 3, [0, 1, 0])
    after = Graded(["a", "a", "b", "b", "c", "c"], ["code"] * 6, [1, 1, 0, 1, 1, 1])
    value = {part: triple[0] for part, triple in parts_of(before, after, n_boot=20).items()}
    assert value == pytest.approx({"parse": 0, "mix": 0.5, "within": 0, "total": 0.5})


@pytest.mark.parametrize(
    ("counts", "unparsed"),
    [
        (([1, 1], [2, 0], [1, 1], [1, 1]), 0),
        (([1, 1], [-1, 0], [1, 1], [1, 1]), 0),
        (([1, 1], [1], [1, 1], [1, 1]), 0),
        (([1, 1], [1, 0], [1, 1, 1], [1, 1, 1]), 0),
        (([0, 0], [0, 0], [1, 1], [1, 1]), 0),
        (([1, math.nan], [1, 0], [1, 1], [1, 1]), 0),
        (([1, math.inf], [1, 0], [1, 1], [1, 1]), 0),
        (([1, 1], [1, 0], [1, 1], [1, 1]), -1),
        ((1, 1, 1, 1), 0),
    ],
)
def test_bad_counts(counts: tuple[list[float], ...], unparsed: int) -> None:
    with pytest.raises(BadInput):
        gain_parts(*counts, unparsed_before=unparsed)


GOOD = Graded(["a", "b"], ["code", "prose"], [1, 0], [1, 0])


@pytest.mark.parametrize(
    "bad",
    [
        Graded(["a", "c"], ["code", "prose"], [1, 0]),
        Graded(["a", "b"], ["code", "prose"], [1, 1], [1, 0]),
        Graded(["a", "b"], ["code"], [1, 0]),
        Graded(["a", "b"], ["code", None], [1, 0]),
        Graded(["a", "b"], ["code", "prose"], [1, math.nan]),
        Graded([], [], []),
    ],
)
def test_bad_rows(bad: Graded) -> None:
    with pytest.raises(BadInput):
        gain_estimates(GOOD, bad, address=("t",), n_boot=10)
