"""Forecast against realised: by hand, a planted relation, a flat null, runs nested in bases, matching, bad input."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest, linregress, spearmanr

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats.forecast_skill import Point, matched, responder_auroc, skill

Row = dict[str, Any]


def row(value: float, base: int = 0, reward: str = "python", **more: Any) -> Row:
    told = {"family": "f", "size": "tiny", "base_seed": base, "reward": reward, "temperature": 1.0}
    return told | {"value": value} | more


def points(
    *address: int, slope: float = 0.0, noise: float = 1.0, bases: int = 6, rewards: int = 5, runs: int = 2
) -> list[Point]:
    """Every base under every reward, several runs of each; a base and a cell have noise of their own."""
    rng, found = numpy_rng("test skill", *address), []
    for base in range(bases):
        for reward in range(rewards):
            predicted, cell = rng.normal(), rng.normal()
            for _ in range(runs):
                realised = slope * predicted + noise * (0.7 * cell + 0.7 * rng.normal())
                found.append(Point(row(predicted, base, str(reward)), row(realised, base, str(reward))))
    return found


def measured(found: list[Point], n_boot: int = 50, n_perm: int = 199) -> dict[str, Any]:
    return {e.name.removeprefix("forecast_skill/"): e for e in skill(found, ("t",), n_boot, n_perm)}


def test_the_statistics_are_scipys() -> None:
    given = points(1, slope=0.5)
    x, y = (
        np.array([side["value"] for side in sides])
        for sides in zip(*((p.forecast, p.realised) for p in given), strict=True)
    )
    found, line = measured(given), linregress(x, y)
    assert found["slope"].value == pytest.approx(line.slope)
    assert found["r2"].value == pytest.approx(line.rvalue**2)
    assert found["spearman"].value == pytest.approx(spearmanr(x, y).statistic)
    assert found["sign"].value == pytest.approx(np.mean(np.sign(x) == np.sign(y)))
    assert {(e.n, e.n_problems) for e in found.values()} == {(60, 6)}


def test_a_planted_relation_is_recovered() -> None:
    found = measured(points(2, slope=2.0, noise=0.3, bases=10), n_boot=300, n_perm=499)
    assert found["slope"].lo < 2.0 < found["slope"].hi
    assert found["r2"].lo > 0.9 and found["spearman"].lo > 0.9 and found["sign"].value > 0.85
    assert {e.p for e in found.values()} == {1 / 500}
    assert found["slope"].null == found["spearman"].null == 0.0
    assert 0 < found["r2"].null < 0.1  # about 1 / (cells - 1)
    assert found["sign"].null == pytest.approx(0.5, abs=0.1)


def test_perfect_forecasts_are_perfect_and_reversed_ones_never_agree() -> None:
    exact = [Point(row(v, i), row(3 * v, i)) for i, v in enumerate((-1.0, 2.0, 0.5, -0.2))]
    found = measured(exact)
    assert (found["r2"].value, found["sign"].value) == (pytest.approx(1.0), 1.0)
    turned = measured([Point(p.forecast, row(-p.realised["value"], i)) for i, p in enumerate(exact)])
    assert (turned["slope"].value, turned["sign"].value) == (pytest.approx(-3.0), 0.0)
    assert turned["r2"].value == pytest.approx(1.0)


def test_p_is_uniform_where_forecasts_say_nothing() -> None:
    """Runs of one cell share its noise: shuffling runs instead of cells would find far too much."""
    found = [measured(points(3, i, bases=4, runs=3), n_boot=2, n_perm=59) for i in range(90)]
    for name in ("slope", "r2", "spearman"):
        assert kstest([each[name].p for each in found], "uniform").pvalue > 0.005, name


def test_the_interval_of_the_slope_covers() -> None:
    found = [measured(points(4, i, slope=1.0, bases=15, runs=1), n_boot=60, n_perm=1)["slope"] for i in range(60)]
    assert np.mean([each.lo <= 1.0 <= each.hi for each in found]) >= 0.82


def test_one_base_says_nothing_of_others_and_equal_forecasts_nothing_at_all() -> None:
    found = measured(points(5, bases=1))
    assert all(math.isnan(e.lo) for e in found.values())
    assert math.isfinite(found["slope"].value)
    alike = measured([Point(row(0.0, i), row(float(i), i)) for i in range(4)])
    assert all(math.isnan(e.value) and e.p is None for e in alike.values())


def test_runs_meet_the_forecast_of_their_base_reward_and_temperature() -> None:
    forecast = [row(0.1, 0), row(0.2, 1), row(0.3, 0, "format")]
    realised = [row(1.0, 0, rl_seed=1), row(2.0, 0, rl_seed=2), row(3.0, 1), row(4.0, 2), row(5.0, 0, temperature=0.0)]
    pairs = [(p.forecast["value"], p.realised["value"]) for p in matched(forecast, realised)]
    assert pairs == [(0.1, 1.0), (0.1, 2.0), (0.2, 3.0)]
    assert matched([], realised) == matched(forecast, []) == []
    with pytest.raises(BadInput, match="two forecasts"):
        matched([*forecast, row(0.9, 0)], realised)


def test_responders_are_told_by_their_scores() -> None:
    found = responder_auroc([3.0, 2.5, 0.1, -1.0], [1, 1, 0, 0], ["a", "b", "c", "d"])
    assert (found.value, found.null, found.n_problems) == (1.0, 0.5, 4)
    assert math.isnan(responder_auroc([1.0, 2.0], [1, 1], ["a", "b"]).value)
    rng = numpy_rng("test responders")
    null = [responder_auroc(rng.normal(size=20), np.arange(20) < 9, np.arange(20)).value for _ in range(200)]
    assert np.mean(null) == pytest.approx(0.5, abs=0.03)


def test_too_little_is_refused() -> None:
    with pytest.raises(BadInput, match="2 runs"):
        skill(points(6, bases=1, rewards=1), ("t",))
    for counts in ((0, 10), (10, 0)):
        with pytest.raises(BadInput):
            skill(points(6), ("t",), *counts)
