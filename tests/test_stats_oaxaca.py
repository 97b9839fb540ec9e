"""Gain accounting: identities over any counts, pure cases, by hand, beside switches, nulls, plants, coverage."""

import math
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_stats_switches import GOLDEN

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats import CELLS, Graded, gain_estimates, gain_parts, switch_contributions
from probe.stats.oaxaca import PARTS

Counts = dict[str, np.ndarray]
bounded = settings(
    max_examples=int(os.environ.get("PROBE_FUZZ_EXAMPLES", "150")),
    derandomize="PROBE_FUZZ_EXAMPLES" not in os.environ,  # more of them are new ones
    deadline=None,
    database=None,
)
WHOLE, FEW = st.integers(0, 10**6), st.integers(0, 4)  # few: strategies that are absent, or of which nothing parses


@st.composite
def nested(draw: st.DrawFn, strategies: int) -> np.ndarray:
    """Whole numbers `[n parsed right, strategy]` with right <= parsed <= n, some n above 0."""
    size = st.one_of(FEW, WHOLE)
    columns = st.lists(st.tuples(size, size, size).map(sorted), min_size=strategies, max_size=strategies)
    counts = np.array(draw(columns.filter(lambda rows: any(row[2] for row in rows))), dtype=float)
    return counts.T[::-1]


@st.composite
def tables(draw: st.DrawFn) -> Counts:
    """Any two sides of one to five strategies, each weighted."""
    strategies = draw(st.integers(1, 5))
    sides = [draw(nested(strategies)) * draw(st.floats(1e-3, 1e3)) for _ in range(2)]
    return counts_of(*sides)


def counts_of(before: np.ndarray, after: np.ndarray) -> Counts:
    """The arguments of `gain_parts` from `[n parsed right, strategy]` of each side."""
    names = ("n", "parsed", "right")
    sides = {"before": before, "after": after}
    return {f"{name}_{side}": row for side, rows in sides.items() for name, row in zip(names, rows, strict=True)}


def same(found: dict[str, np.ndarray], wanted: dict[str, Any]) -> None:
    for part in PARTS:
        np.testing.assert_allclose(found[part], wanted.get(part, 0), rtol=0, atol=1e-12, err_msg=part)


def gain(table: Counts) -> float:
    return float(
        table["right_after"].sum() / table["n_after"].sum() - table["right_before"].sum() / table["n_before"].sum()
    )


@bounded
@given(tables())
def test_parts_sum_to_the_gain(table: Counts) -> None:
    parts = gain_parts(**table)
    same(parts, parts | {"total": gain(table)})
    assert abs(parts["mix"] + parts["parse"] + parts["within"] - gain(table)) < 1e-12


@bounded
@given(tables())
def test_swapping_the_sides_negates_every_part(table: Counts) -> None:
    other = {"before": "after", "after": "before"}
    swapped = {f"{name}_{other[side]}": rows for (name, side), rows in ((key.split("_"), table[key]) for key in table)}
    same(gain_parts(**swapped), {part: -value for part, value in gain_parts(**table).items()})


@bounded
@given(tables(), st.randoms(use_true_random=False), st.floats(1e-3, 1e3))
def test_how_strategies_are_named_cut_and_weighted_is_nothing(table: Counts, random: Any, weight: float) -> None:
    """In another order; beside one that nobody uses; each cut into two halves; more responses at the same rates."""
    order = random.sample(range(len(table["n_before"])), len(table["n_before"]))
    parts = gain_parts(**table)
    same(gain_parts(**{key: rows[order] for key, rows in table.items()}), parts)
    same(gain_parts(**{key: np.append(rows, 0) for key, rows in table.items()}), parts)
    same(gain_parts(**{key: np.repeat(rows / 2, 2) for key, rows in table.items()}), parts)
    same(gain_parts(**{key: rows * (weight if "after" in key else 1) for key, rows in table.items()}), parts)


@bounded
@given(st.data())
def test_where_one_thing_changes_one_part_books_all(data: st.DataObject) -> None:
    """Other shares at the same rates; other parse rates at the same accuracy of what parses; another accuracy alone."""
    strategies = data.draw(st.integers(1, 5))
    many = st.lists(st.integers(0, 40), min_size=strategies, max_size=strategies)
    n, parsed, right = data.draw(nested(strategies))
    times = np.array([data.draw(many.filter(any)) for _ in range(2)])
    responses = np.maximum(n, 1)
    for part, before, after in (
        ("mix", *(np.stack([responses, parsed, right]) * row for row in times)),
        ("parse", *(np.stack([responses * 40, parsed * row, right * row]) for row in times)),
        ("within", *(np.stack([responses * 40, parsed * 40, parsed * row]) for row in times)),
    ):
        table = counts_of(before, after)
        same(gain_parts(**table), {part: gain(table), "total": gain(table)})


def test_pure_mix() -> None:
    """Code 80 % right, prose 20 %, shares 25/75 -> 75/25: all .3 of the gain is mix."""
    parts = gain_parts([20, 60], [16, 12], [60, 20], [48, 4])
    assert {part: float(value) for part, value in parts.items()} == pytest.approx(
        {"parse": 0, "mix": 0.3, "within": 0, "total": 0.3}
    )


def test_pure_within_and_pure_parse() -> None:
    within = gain_parts([50, 50], [10, 20], [50, 50], [20, 30])
    assert (float(within["within"]), float(within["mix"])) == pytest.approx((0.2, 0))
    parse = gain_parts([40, 40], [10, 5], [40, 40], [20, 10], parsed_before=[20, 20])
    assert (float(parse["parse"]), float(parse["total"])) == pytest.approx((0.1875, 0.1875))


def test_by_hand_with_everything_moving() -> None:
    """Code: share .5 -> .75, parsed .6 -> .8, right of these .5 -> .75; prose: .5 -> .25, .2 -> .4, .5 -> 1."""
    parts = gain_parts([10, 10], [3, 1], [15, 5], [9, 2], parsed_before=[6, 2], parsed_after=[12, 2])
    assert float(parts["mix"]) == pytest.approx(0.25 * (0.3 + 0.6) / 2 - 0.25 * (0.1 + 0.4) / 2)
    assert float(parts["parse"]) == pytest.approx(0.625 * 0.2 * 0.625 + 0.375 * 0.2 * 0.75)
    assert float(parts["within"]) == pytest.approx(0.625 * 0.7 * 0.25 + 0.375 * 0.3 * 0.5)
    assert float(parts["total"]) == pytest.approx(11 / 20 - 4 / 20)


def test_a_move_to_the_strategy_that_boxes_more_is_mix_and_not_parse() -> None:
    """Code parses 9 in 10, prose 5 in 10, each right 6 in 10 of what parses; only the shares move, .5 -> .9."""
    parts = gain_parts([500, 500], [270, 150], [900, 100], [486, 30], parsed_before=[450, 250], parsed_after=[810, 50])
    assert float(parts["mix"]) == pytest.approx(0.4 * 0.9 * 0.6 - 0.4 * 0.5 * 0.6)
    assert (float(parts["parse"]), float(parts["within"])) == pytest.approx((0, 0))


def test_a_strategy_absent_on_one_side_counts_as_mix() -> None:
    """All prose at 20 % before, all code at 80 % after: no within-strategy change can be known."""
    parts = gain_parts([0, 10], [0, 2], [10, 0], [8, 0])
    assert (float(parts["mix"]), float(parts["within"])) == pytest.approx((0.6, 0))


def test_nothing_parsed_on_one_side_counts_as_parse() -> None:
    parts = gain_parts([5, 5], [0, 0], [5, 5], [4, 2], parsed_before=[0, 0])
    assert (float(parts["parse"]), float(parts["mix"]), float(parts["within"])) == pytest.approx((0.6, 0, 0))
    none = gain_parts([3], [0], [3], [0], parsed_before=[0], parsed_after=[0])
    assert all(float(value) == 0 for value in none.values())


def marginal(reward: str) -> Counts:
    """The paper's counts by strategy: C holds CC and CL before, CC and LC after; every response is read."""
    n, before, after = (dict(zip(CELLS, row, strict=True)) for row in GOLDEN[reward][:3])
    sides = [
        [[rows["CC"] + rows[code], rows["LL"] + rows[prose]] for rows in (n, n, right)]
        for code, prose, right in (("CL", "LC", before), ("LC", "CL", after))
    ]
    return counts_of(*np.array(sides))


@pytest.mark.parametrize("reward", GOLDEN)
def test_beside_the_switches_of_the_paper(reward: str) -> None:
    """Both accounts share out the same gain; what traffic there is in both directions, mix sees only the net of."""
    n, before, after, accuracy, _ = GOLDEN[reward]
    table = marginal(reward)
    parts = gain_parts(**table)
    cells = (np.array(after) - before) / sum(n)
    assert float(parts["total"]) == pytest.approx(cells.sum(), abs=1e-12) == pytest.approx(accuracy / 100 - 0.494)
    assert cells / cells.sum() == pytest.approx(switch_contributions(n, before, after))
    better = [right[0] / size[0] - right[1] / size[1] for size, right in sides_of(table)]
    net = (n[CELLS.index("LC")] - n[CELLS.index("CL")]) / sum(n)
    assert float(parts["mix"]) == pytest.approx(net * sum(better) / 2, abs=1e-12)
    assert float(parts["parse"]) == 0


def sides_of(table: Counts) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(table[f"n_{side}"], table[f"right_{side}"]) for side in ("before", "after")]


def test_on_the_counts_of_the_paper_the_two_accounts_disagree() -> None:
    """Switches bring more than half of the gain under four rewards; within is the largest part under all five.

    Prose rises from .28 to .76 and more because the problems it did badly on went over to code: mix cannot see that.
    """
    switched = {reward: sum(cells[1:3]) for reward, (*_, cells) in GOLDEN.items()}
    assert {reward for reward, percent in switched.items() if percent > 50} == set(GOLDEN) - {"ground truth"}
    parts = {reward: gain_parts(**marginal(reward)) for reward in GOLDEN}
    mix = {reward: round(100 * float(each["mix"]), 1) for reward, each in parts.items()}
    assert mix == {"ground truth": -2.2, "majority": 0.9, "format": 3.9, "incorrect": 2.3, "random": 1.2}
    assert all(max(PARTS[:3], key=lambda part: each[part]) == "within" for each in parts.values())


def responses(
    index: int, share: float, accuracy: tuple[float, float], parse: tuple[float, float], problems: int = 150
) -> Graded:
    """Three samples per problem, rates of (code, prose); problems differ only in how much they invite code."""
    rng = numpy_rng("test", "graded", index)
    lean = np.repeat(rng.uniform(-0.2, 0.2, size=problems), 3)
    code = rng.random(3 * problems) < share + lean
    parsed = rng.random(3 * problems) < np.where(code, *parse)
    right = parsed & (rng.random(3 * problems) < np.where(code, *accuracy))
    return Graded(np.repeat(np.arange(problems), 3), np.where(code, "code", "prose"), right, parsed)


def parts_of(before: Graded, after: Graded, **options: int) -> dict[str, tuple[float, float, float]]:
    found = gain_estimates(before, after, address=("t",), **options)
    return {row.params["part"]: (row.value, row.lo, row.hi) for row in found}


def test_planted_mix_shift_is_found_and_nothing_else() -> None:
    """Code is boxed more often than prose, and nothing of that changes: a pooled parse rate rises by .14."""
    rates = {"accuracy": (0.8, 0.4), "parse": (0.95, 0.6)}
    values, rejected = [], dict.fromkeys(PARTS, 0)
    for index in range(60):
        before, after = responses(2 * index, 0.3, **rates), responses(2 * index + 1, 0.7, **rates)
        rows = {row.params["part"]: row for row in gain_estimates(before, after, address=("t",), n_boot=200)}
        for part, row in rows.items():
            rejected[part] += row.p < 0.05
        values.append([rows[part].value for part in PARTS])
        assert np.mean(after.parsed) > np.mean(before.parsed)
        assert sum(rows[part].value for part in PARTS[:3]) == pytest.approx(rows["total"].value, abs=1e-12)
        assert (rows["total"].n, rows["total"].n_problems, rows["total"].null) == (900, 150, 0.0)
    assert np.mean(values, 0) == pytest.approx([0.4 * (0.95 * 0.8 - 0.6 * 0.4), 0, 0, 0.208], abs=0.01)
    assert rejected["mix"] == rejected["total"] == 60
    assert all(rejected[part] <= 9 for part in ("parse", "within")), rejected  # P(Binomial(60, .05) > 9) = .0006


def test_all_parsed_is_what_no_column_of_it_says() -> None:
    before, after = responses(0, 0.3, (0.8, 0.3), (1.0, 1.0)), responses(1, 0.7, (0.8, 0.3), (1.0, 1.0))
    told = parts_of(before, after, n_boot=50)
    assert told == parts_of(
        *(Graded(side.clusters, side.strategy, side.correct) for side in (before, after)), n_boot=50
    )
    assert told["parse"] == (0, 0, 0)


def test_names_of_strategies_are_nothing() -> None:
    before, after = (responses(index, 0.5, (0.8, 0.3), (0.9, 0.7)) for index in (3, 4))
    names = {"code": "z", "prose": "a"}
    renamed = (Graded(s.clusters, [names[k] for k in s.strategy], s.correct, s.parsed) for s in (before, after))
    first, second = parts_of(before, after, n_boot=50), parts_of(*renamed, n_boot=50)
    assert all(first[part] == pytest.approx(second[part], abs=1e-12) for part in PARTS)


def test_null_pair_of_one_checkpoint_is_zero() -> None:
    same = responses(3, 0.5, (0.8, 0.3), (0.9, 0.7))
    assert parts_of(same, same, n_boot=20) == dict.fromkeys(PARTS, (0.0, 0.0, 0.0))


def test_two_seeds_of_one_checkpoint_reject_at_the_stated_rate() -> None:
    rejected, values = dict.fromkeys(PARTS, 0), []
    for index in range(200):
        before, after = (responses(k, 0.5, (0.8, 0.3), (0.9, 0.7), problems=60) for k in (2 * index, 2 * index + 1))
        rows = gain_estimates(before, after, address=("t", index), n_boot=200)
        values.append([row.value for row in rows])
        for row in rows:
            rejected[row.params["part"]] += row.p < 0.05
    assert all(count / 200 <= 0.1 for count in rejected.values()), rejected  # P(Binomial(200, .05) > 20) = .001
    mean, error = np.mean(values, 0), np.std(values, 0) / np.sqrt(200)
    assert (np.abs(mean) < 3.5 * error).all()


def test_coverage_of_every_part() -> None:
    """Truth from the generating rates: code .4 -> .6, parsed (.9, .6) -> (.95, .8), right (.7, .3) -> (.8, .3)."""
    n = np.array([[0.4, 0.6], [0.6, 0.4]])
    parsed = n * [[0.9, 0.6], [0.95, 0.8]]
    right = parsed * [[0.7, 0.3], [0.8, 0.3]]
    truth = gain_parts(n[0], right[0], n[1], right[1], parsed_before=parsed[0], parsed_after=parsed[1])
    covered = dict.fromkeys(PARTS, 0)
    for index in range(200):
        before = responses(2 * index, 0.4, (0.7, 0.3), (0.9, 0.6), problems=60)
        after = responses(2 * index + 1, 0.6, (0.8, 0.3), (0.95, 0.8), problems=60)
        for part, (_, lo, hi) in parts_of(before, after, n_boot=200).items():
            covered[part] += lo <= float(truth[part]) <= hi
    assert all(0.89 <= count / 200 <= 0.99 for count in covered.values()), covered


def test_samples_of_one_problem_count_as_one() -> None:
    """Every response four times over, under the same problems: the same interval as once."""
    before, after = responses(0, 0.3, (0.8, 0.3), (0.9, 0.6)), responses(1, 0.7, (0.8, 0.3), (0.9, 0.7))
    four = (
        Graded(*(np.tile(column, 4) for column in (s.clusters, s.strategy, s.correct, s.parsed)))
        for s in (before, after)
    )
    once, often = parts_of(before, after, n_boot=100), parts_of(*four, n_boot=100)
    assert all(once[part] == pytest.approx(often[part], abs=1e-12) for part in PARTS)


def test_different_numbers_of_samples_and_one_sided_strategies() -> None:
    before = Graded(["a", "b", "c"], ["prose"] * 3, [0, 1, 0])
    after = Graded(["a", "a", "b", "b", "c", "c"], ["code"] * 6, [1, 1, 0, 1, 1, 1])
    value = {part: triple[0] for part, triple in parts_of(before, after, n_boot=20).items()}
    assert value == pytest.approx({"parse": 0, "mix": 0.5, "within": 0, "total": 0.5})


@pytest.mark.parametrize(
    ("counts", "parsed"),
    [
        (([1, 1], [2, 0], [1, 1], [1, 1]), None),
        (([1, 1], [-1, 0], [1, 1], [1, 1]), None),
        (([1, 1], [1], [1, 1], [1, 1]), None),
        (([1, 1], [1, 0], [1, 1, 1], [1, 1, 1]), None),
        (([0, 0], [0, 0], [1, 1], [1, 1]), None),
        (([1, math.nan], [1, 0], [1, 1], [1, 1]), None),
        (([1, math.inf], [1, 0], [1, 1], [1, 1]), None),
        (([1, 1], [1, 0], [1, 1], [1, 1]), [0, 1]),
        (([1, 1], [1, 0], [1, 1], [1, 1]), [2, 1]),
        (([1, 1], [1, 0], [1, 1], [1, 1]), [1, math.nan]),
        (([1, 1], [1, 0], [1, 1], [1, 1]), [1]),
        (([[1, 1]], [[1, 0]], [1, 1], [1, 1]), None),
        (([1, "one"], [1, 0], [1, 1], [1, 1]), None),
        (([[1, 1], [1]], [1, 0], [1, 1], [1, 1]), None),
        (([], [], [], []), None),
        ((1, 1, 1, 1), None),
    ],
)
def test_bad_counts(counts: tuple[list[float], ...], parsed: list[float] | None) -> None:
    with pytest.raises(BadInput):
        gain_parts(*counts, parsed_before=parsed)


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
