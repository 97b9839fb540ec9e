"""The mean field: one update by hand, ends that it cannot pass, and rewards that teach nothing."""

import numpy as np
import pytest

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats.mean_field import mean_field

CODE = np.array([[1.0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]])


def test_one_update_by_hand() -> None:
    """Paid for code: A is (z - p) / sd, whose covariance with z is sd, and square E (z - p)^4 / var."""
    change = mean_field(CODE, {"code": CODE}, {"code": 0.4}, updates=1, batch=10)["code"]
    p = np.array([0.25, 0.5, 0.0])
    sd = np.sqrt(p * (1 - p))
    mean = sd.mean()
    fourth = p * (1 - p) ** 4 + (1 - p) * p**4
    square = np.divide(fourth, sd**2, out=np.zeros(3), where=sd > 0).mean()
    theta = 0.4 * mean / np.sqrt(mean**2 + square / 10)
    tilted = p * np.exp(theta) / (p * np.exp(theta) + 1 - p)
    np.testing.assert_allclose(change, tilted - p, atol=1e-12)


def test_shares_end_at_one_and_what_was_never_sampled_stays_out() -> None:
    change = mean_field(CODE, {"code": CODE}, {"code": 0.5}, updates=200, batch=64)["code"]
    np.testing.assert_allclose(change, [0.75, 0.5, 0.0], atol=1e-3)


@pytest.mark.parametrize("rewards", [np.full((3, 4), 0.7), np.full((3, 4), np.nan)])
def test_a_constant_or_absent_reward_teaches_nothing(rewards: np.ndarray) -> None:
    assert not mean_field(rewards, {"code": CODE}, {"code": 0.5}, updates=5, batch=64)["code"].any()


def test_groups_without_a_reward_move_with_the_others() -> None:
    """As labels that only some problems have: the strategy is learned there and used everywhere."""
    rewards = CODE.copy()
    rewards[1] = np.nan
    change = mean_field(rewards, {"code": CODE}, {"code": 0.5}, updates=50, batch=64)["code"]
    assert change[1] > 0.3


def test_other_traits_follow_by_what_goes_with_them() -> None:
    """Right goes with code in the first problem and with prose in the second; a missing grade is missing."""
    right = np.array([[1.0, 0, 0, np.nan], [0, 0, 1, 1], [np.nan] * 4])
    found = mean_field(CODE, {"code": CODE, "right": right}, {"code": 0.5}, updates=100, batch=64)["right"]
    assert found[0] == pytest.approx(1 - 1 / 3, abs=0.01)
    assert found[1] == pytest.approx(-0.5, abs=0.01)
    assert np.isnan(found[2])


def test_noise_moves_little_and_a_clear_signal_much() -> None:
    rng = numpy_rng("mean field")
    code = (rng.random((200, 16)) < 0.4).astype(float)
    noise = (rng.random((200, 16)) < 0.5).astype(float)
    moved = [
        abs(mean_field(rewards, {"code": code}, {"code": 0.2}, updates=16, batch=64)["code"].mean())
        for rewards in (noise, code)
    ]
    assert moved[0] < moved[1] / 5


def test_tables_that_do_not_fit_are_refused() -> None:
    for rewards, steps, updates in ((CODE[:2], {"code": 1.0}, 1), (CODE, {"cod": 1.0}, 1), (CODE, {"code": 1.0}, 0)):
        with pytest.raises(BadInput, match="mean field"):
            mean_field(rewards, {"code": CODE}, steps, updates=updates, batch=8)
