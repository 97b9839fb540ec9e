"""Advantages: by hand, TRL's golden values, the exact facts of a random reward, abstentions and bad input."""

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from probe.errors import BadInput
from probe.rl.advantage import (
    ADVANTAGES,
    Advantage,
    Centred,
    GroupNormalised,
    NegativeOnly,
    PositiveOnly,
    Rloo,
    Weighted,
    from_spec,
    reward_metrics,
    reward_table,
    spec,
)

GOLDEN = json.loads((Path(__file__).parent / "data" / "trl_golden.json").read_text())
ALL: list[Advantage] = [
    GroupNormalised(),
    GroupNormalised(1e-4, 0),
    Centred(),
    Rloo(),
    PositiveOnly(),
    NegativeOnly(),
    Weighted(),
]
RELATIVE = [advantage for advantage in ALL if not isinstance(advantage, PositiveOnly | NegativeOnly | Weighted)]


def values(advantage: Advantage, rewards: Sequence[float | None], group_size: int) -> list[float]:
    """The advantage of each response."""
    return advantage(reward_table(rewards, group_size)).value.tolist()


def test_relative_advantages_by_hand() -> None:
    rewards = [1.0, 0.0, 0.0, 0.0]  # mean .25, variance .25 (ddof 1) or .1875
    assert values(GroupNormalised(), rewards, 4) == pytest.approx([1.5, -0.5, -0.5, -0.5])
    assert values(GroupNormalised(ddof=0), rewards, 4) == pytest.approx([3**0.5, *[-(3**-0.5)] * 3])
    assert values(GroupNormalised(eps=0.5), rewards, 4) == pytest.approx([0.75, -0.25, -0.25, -0.25])
    assert values(Centred(), rewards, 4) == pytest.approx([0.75, -0.25, -0.25, -0.25])
    assert values(Rloo(), rewards, 4) == pytest.approx([1.0, *[-1 / 3] * 3])


def test_rloo_is_the_reward_minus_the_mean_of_the_others() -> None:
    rewards = [0.3, -1.0, 2.0, 0.7, 0.1]
    wanted = [r - (sum(rewards) - r) / 4 for r in rewards]
    assert values(Rloo(), rewards, 5) == pytest.approx(wanted)


def test_absolute_advantages_by_hand() -> None:
    table = reward_table([1.0, 0.0, 1.0, 0.0], 2)
    positive, negative, both = PositiveOnly()(table), NegativeOnly()(table), Weighted()(table)
    assert positive.value.tolist() == [1, 0, 1, 0]
    assert positive.keep.tolist() == [True, False, True, False]
    assert negative.value.tolist() == [0, -1, 0, -1]
    assert negative.keep.tolist() == [False, True, False, True]
    assert both.value.tolist() == pytest.approx([0.1, -1, 0.1, -1])
    assert both.keep.all()


def test_positive_only_may_keep_nothing() -> None:
    assert not PositiveOnly()(reward_table([0.0, 0.0], 2)).keep.any()
    assert not NegativeOnly()(reward_table([1.0, 1.0], 2)).keep.any()


def test_group_normalised_is_trls_abstention_included() -> None:
    rewards, size = GOLDEN["rewards"], GOLDEN["group_size"]
    assert None in rewards
    assert sorted(values(GroupNormalised(eps=1e-4), rewards, size)) == pytest.approx(
        GOLDEN["advantages_sorted"], abs=2e-6
    )


def test_mean_positive_advantage_of_a_fair_coin_is_the_papers() -> None:
    """mu = P(A > 0) E[A | A > 0] = .468 for G = 16, gamma = .5 (2506.10947), summed exactly over the number of ones."""
    mu = 0.0
    for ones in range(17):
        group = values(GroupNormalised(), [1.0] * ones + [0.0] * (16 - ones), 16)
        mu += math.comb(16, ones) / 2**16 * sum(max(a, 0) for a in group) / 16
    assert mu == pytest.approx(0.468, abs=5e-4)


def test_rare_random_rewards_leave_most_groups_without_advantage() -> None:
    """98.4 % at gamma = .001, G = 16."""
    flat = 0.0
    for ones in range(17):
        group = values(GroupNormalised(), [1.0] * ones + [0.0] * (16 - ones), 16)
        flat += math.comb(16, ones) * 0.001**ones * 0.999 ** (16 - ones) * (not any(group))
    assert flat == pytest.approx(0.984, abs=5e-4)


def test_largest_advantage_is_the_mislabel_models() -> None:
    """|A| <= sqrt(G) - 1/sqrt(G) (2512.16912), reached by a single one; their std has ddof 1."""
    for size in (4, 16, 64):
        group = values(GroupNormalised(), [1.0] + [0.0] * (size - 1), size)
        assert max(group) == pytest.approx(math.sqrt(size) - 1 / math.sqrt(size), rel=1e-5)


@pytest.mark.parametrize("advantage", RELATIVE, ids=repr)
def test_a_constant_group_has_exactly_no_advantage(advantage: Any) -> None:
    assert values(advantage, [0.1] * 3 + [0.7] * 3, 3) == [0.0] * 6  # .1 + .1 + .1 is not .3


@pytest.mark.parametrize("advantage", RELATIVE, ids=repr)
def test_relative_advantages_sum_to_zero_and_ignore_shifts(advantage: Any) -> None:
    rewards = [0.2, 1.5, -0.3, 0.9, 4.0, 2.0, 2.0, 1.0]
    found = values(advantage, rewards, 4)
    assert sum(found[:4]) == pytest.approx(0, abs=1e-6)
    assert sum(found[4:]) == pytest.approx(0, abs=1e-6)
    assert values(advantage, [r + 3 for r in rewards], 4) == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize("advantage", ALL, ids=repr)
def test_order_within_a_group_and_other_groups_do_not_matter(advantage: Any) -> None:
    rewards: list[float | None] = [1.0, 0.0, None, 1.0, 0.0, 0.0]
    found = values(advantage, rewards, 3)
    moved = values(advantage, rewards[:3][::-1] + rewards[3:], 3)
    assert moved == found[:3][::-1] + found[3:]
    assert values(advantage, rewards[:3], 3) == found[:3]


@pytest.mark.parametrize("advantage", ALL, ids=repr)
def test_an_abstention_is_left_out_of_mean_and_batch(advantage: Any) -> None:
    result = advantage(reward_table([1.0, None, 0.0, 0.0], 4))
    without = advantage(reward_table([1.0, 0.0, 0.0], 3))
    assert result.value[[0, 2, 3]].tolist() == without.value.tolist()
    assert result.value[1] == 0
    assert not result.keep[1]


@pytest.mark.parametrize("advantage", RELATIVE, ids=repr)
def test_groups_with_one_or_no_reward_carry_nothing(advantage: Any) -> None:
    result = advantage(reward_table([None, None, None, 1.0], 2))
    assert result.value.tolist() == [0, 0, 0, 0]
    assert result.keep.tolist() == [False, False, False, True]


def test_random_rewards_average_to_no_advantage() -> None:
    """Over all reward vectors of a fair coin the mean advantage of each response is 0: no first-order drift."""
    for advantage in RELATIVE:
        total = torch.zeros(5)
        for rewards in itertools.product([0.0, 1.0], repeat=5):
            total += advantage(reward_table(rewards, 5)).value
        assert total.abs().max() < 1e-5


def test_metrics_by_hand() -> None:
    metrics = reward_metrics(reward_table([1.0, 0.0, 1.0, 1.0, None, 0.0], 2))
    assert metrics == pytest.approx(
        {"reward": 0.6, "reward_std": math.sqrt(0.3), "frac_reward_zero_std": 2 / 3}  # [1, 1] and [None, 0]
    )


@pytest.mark.parametrize("advantage", ALL, ids=repr)
def test_specs_come_back(advantage: Any) -> None:
    plain = json.loads(json.dumps(spec(advantage)))
    assert from_spec(plain) == advantage
    assert plain["advantage"] in ADVANTAGES


def test_every_kind_has_been_tested() -> None:
    assert {type(advantage) for advantage in ALL} == set(ADVANTAGES.values())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_rewards_that_are_no_numbers_are_named(bad: float) -> None:
    with pytest.raises(BadInput, match=r"row 3 \(group 1\)"):
        reward_table([1.0, 0.0, 1.0, bad], 2)


@pytest.mark.parametrize(
    ("rewards", "size"), [([], 4), ([1.0, 0.0, 1.0], 2), ([1.0], 0), ([1.0], -1), ([None, None], 2)]
)
def test_empty_and_ragged_groups_are_refused(rewards: list[float | None], size: int) -> None:
    with pytest.raises(BadInput, match=r"groups of|abstained on every"):
        reward_table(rewards, size)


@pytest.mark.parametrize("advantage", [PositiveOnly(), NegativeOnly(), Weighted()])
def test_right_and_wrong_need_rewards_of_one_and_zero(advantage: Any) -> None:
    with pytest.raises(BadInput, match=r"0\.5"):
        advantage(reward_table([1.0, 0.5], 2))


def test_bad_configurations_are_refused() -> None:
    with pytest.raises(BadInput, match="eps=-1"):
        GroupNormalised(eps=-1)
    with pytest.raises(BadInput, match="ddof=2"):
        GroupNormalised(ddof=2)
    with pytest.raises(BadInput, match="group_normalised"):
        from_spec({"advantage": "group_normalized"})
    with pytest.raises(BadInput, match="gamma"):
        from_spec({"advantage": "centred", "gamma": 1})
