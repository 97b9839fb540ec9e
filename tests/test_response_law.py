"""The response law on made-up responses: planted slopes come back, nulls are flat, predictions are judged so."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from plot_rows_law import planted

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats.predictions import CONTRASTS, PLANTED, Cell, Contrast, cells_of, judge, realised, slope
from probe.stats.response_law import law_slope, predicted_change

BASES = [("mini", 0), ("mini", 1), ("mini", 2), ("mini-qwen2", 10), ("mini-qwen2", 11), ("mini-qwen2", 12)]
FAMILIES = [f"p{prior}-{better}-even" for prior in ("05", "65") for better in ("code", "prose")]


def test_predicted_by_hand() -> None:
    found = predicted_change([0.0, 0.5], [1.0, 0.5], [0.75, 1.0], [0.25, 0.0], name="predicted")
    assert found.value == pytest.approx((1.0 * 0.5 + 0.0 * 1.0) / 2)
    assert (found.n, found.n_problems, found.null) == (2, 2, 0.0)


def test_hard_problems_that_prefer_code_do_not_pass_for_bad_code() -> None:
    """Strategies are equally good on every problem, but the hard ones move to code: nothing is predicted."""
    easy, hard = np.full(50, 0.9), np.full(50, 0.1)
    right = np.concatenate([easy, hard])
    moved = np.concatenate([np.zeros(50), np.ones(50)])
    assert predicted_change(np.zeros(100), moved, right, right, name="predicted").value == 0


@given(some.lists(some.tuples(*[some.floats(0, 1)] * 4), min_size=2, max_size=20))
def test_sides_and_strategies_may_be_swapped(rows: list[tuple[float, float, float, float]]) -> None:
    before, after, code, prose = map(list, zip(*rows, strict=True))
    value = predicted_change(before, after, code, prose, name="predicted").value
    assert predicted_change(after, before, code, prose, name="predicted").value == pytest.approx(-value, abs=1e-12)
    flipped = [[1 - share for share in side] for side in (before, after)]
    assert predicted_change(*flipped, prose, code, name="predicted").value == pytest.approx(value, abs=1e-12)


def test_the_interval_covers_what_independent_samples_estimate() -> None:
    """Shares and accuracies of four samples each: their product is unbiased, and its interval keeps its level."""
    hits, values = 0, []
    for i in range(300):
        rng = numpy_rng("law coverage", i)
        p = rng.uniform(0.1, 0.9, (4, 120))
        before, after, code, prose = rng.binomial(4, p) / 4
        found = predicted_change(before, after, code, prose, name="predicted")
        expected = float(((p[1] - p[0]) * (p[2] - p[3])).mean())
        values.append(found.value - expected)
        hits += found.lo <= 0 <= found.hi  # over problems there is neither a move nor a gap
    assert abs(np.mean(values)) < 4 * np.std(values) / 300**0.5
    assert hits / 300 == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (([0.1], [0.2], [0.3, 0.4], [0.1, 0.2]), "1 shares for 2"),
        (([1.2], [0.2], [0.3], [0.1]), "outside"),
        (([math.nan], [0.2], [0.3], [0.1]), "missing or infinite"),
        (([], [], [], []), "shape"),
        (([0.1, 0.2], [0.2], [0.3], [0.1]), "rows"),
    ],
)
def test_bad_columns_are_named(columns: tuple[list[float], ...], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        predicted_change(*columns, name="predicted")


def test_slope_by_hand() -> None:
    assert law_slope([0, 1, 2], [1, 3, 5]) == pytest.approx(2)
    assert math.isnan(law_slope([1, 1], [0, 5]))


def cells(steepness: float, noise: float, draw: int, beyond: float = 0.0) -> list[Cell]:
    """Runs under `python` at T = 1 whose realised change follows the law at that slope."""
    rng, found = numpy_rng("cells", draw), []
    for base in BASES:
        for family in FAMILIES:
            sign = 1.0 if "code" in family else -1.0
            predicted = sign * float(rng.uniform(0.05, 0.5))
            change = steepness * predicted + beyond + noise * float(rng.normal())
            found.append(Cell(family, base, "python", 1.0, change, predicted, 0.0))
    return found


def verdicts(found: list[Cell], *names: str) -> list[str]:
    chosen = tuple(each for each in CONTRASTS if each.name in names)
    return [each.verdict for each in judge(found, chosen)]


@pytest.mark.parametrize("draw", range(10))
def test_a_planted_law_holds_and_a_planted_failure_fails(draw: int) -> None:
    names = ("slope", "intercept", "code better", "prose better")
    assert verdicts(cells(1.0, 0.01, draw), *names) == ["holds"] * 4
    assert verdicts(cells(0.0, 0.01, draw), "slope") == ["fails"]
    assert verdicts(cells(-1.0, 0.01, draw), "code better", "prose better") == ["fails", "fails"]
    assert verdicts(cells(1.0, 0.01, draw, beyond=0.2), "intercept") == ["fails"]


def test_what_one_base_says_stays_undecided() -> None:
    lone = [cell for cell in cells(1.0, 0.0, 0) if cell.base == BASES[0]]
    found = judge(lone, (CONTRASTS[0],))[0]
    assert found.verdict == "undecided"
    assert math.isnan(found.lo)
    assert judge([], CONTRASTS)[0].bases == ()


def test_no_effect_at_all_is_no_rise_and_lies_within_what_is_said_to_stay() -> None:
    """Every base at exactly 0: neither "it rises" nor "it falls" holds, and "it stays" does."""
    still = [Cell("p05-code-even", base, "python", 1.0, 0.0, 0.0, 0.0) for base in BASES]
    edge = Contrast("edge", "H1", "", "python", 1.0, lambda cell: True, realised, 0.0, math.inf)
    regions = {"rises": (0.0, math.inf), "falls": (-math.inf, 0.0), "stays": (-0.02, 0.02)}
    said = tuple(replace(edge, name=name, low=low, high=high) for name, (low, high) in regions.items())
    assert [each.verdict for each in judge(still, said)] == ["undecided", "undecided", "holds"]


def test_false_verdicts_are_rare_over_all_contrasts_at_once() -> None:
    """Numbers whose truth lies on the edge of a region: neither side may be called more often than the level allows."""
    edge = Contrast("edge", "H1", "", "python", 1.0, lambda cell: True, realised, 0.0, math.inf)
    called = 0
    for draw in range(400):
        rng = numpy_rng("edge", draw)
        noisy = [Cell("p05-code-even", base, "python", 1.0, float(rng.normal()), 0.0, 0.0) for base in BASES]
        found = judge(noisy, tuple(replace(edge, name=str(i)) for i in range(5)))
        called += any(each.verdict != "undecided" for each in found)
    assert called / 400 <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_predictions_of_planted_code_by_hand() -> None:
    """On made-up doses: 1 % loses as predicted, 10 % gains, the law holds at every dose."""
    found = {each.contrast.name: each for each in judge(cells_of(planted()), PLANTED)}
    assert {name: each.verdict for name, each in found.items()} == dict.fromkeys(found, "holds")
    assert found["no code"].value == 0
    assert found["one in ten"].value == pytest.approx(0.32, abs=0.05)
    assert found["truth"].value == pytest.approx(0.32, abs=0.05)
    silent = [replace(cell, realised=0.0) for cell in cells_of(planted())]
    assert {each.contrast.name for each in judge(silent, PLANTED) if each.verdict == "fails"} == {
        "one in ten",
        "three in ten",
    }


def test_every_prediction_of_planted_code_is_about_a_run_of_its_study() -> None:
    from probe.families.planted import DOSES
    from probe.families.planted import planted as named
    from probe.studies.planted import REWARDS

    for each in PLANTED:
        assert each.reward in REWARDS
        assert any(each.chosen(Cell(named(dose), ("mini", 0), each.reward, 1.0, 0, 0, 0)) for dose in DOSES)


def test_every_prediction_is_about_a_run_of_the_study() -> None:
    from probe.families.factorial import CELLS, cell
    from probe.studies.why import ON_ALL, ON_SOME

    names = [cell(*levels) for levels in CELLS]
    for each in CONTRASTS:
        assert each.reward in (*ON_ALL, *ON_SOME)
        assert each.temperature in (0.0, 1.0)
        assert any(each.chosen(Cell(name, ("mini", 0), each.reward, 1.0, 0, 0, 0)) for name in names)
        assert each.low < each.high
    assert [each.name for each in CONTRASTS if each.of is slope] == ["slope", "slope greedy"]
