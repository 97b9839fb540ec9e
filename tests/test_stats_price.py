"""Price's equation: by hand, against tilted and sampled policies, a flat null, missing values, reach, by strategy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats.price import forecasts, group_covariances, reach, through_strategy

NAN = np.nan


def one(advantage, trait, *address, n_perm=200):
    return forecasts(advantage, {"z": trait}, {"z": "none"}, ("t", *address), n_perm)["z"]


def test_covariances_by_hand() -> None:
    advantage = [[1.0, -1.0, 0.0], [2.0, 2.0, 2.0], [1.0, 0.0, NAN], [1.0, NAN, NAN]]
    trait = [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [3.0, 1.0, 7.0], [1.0, 2.0, 3.0]]
    assert group_covariances(advantage, trait) == pytest.approx([0.5, 0.0, 1.0, NAN], nan_ok=True)
    found = one(advantage, trait)
    assert found.change.value == pytest.approx(0.5)
    assert (found.change.n, found.change.n_problems, found.change.null) == (8, 3, 0.0)
    reach95 = 4.302653 * 0.5 / 3**0.5  # t of 2 degrees of freedom, sd .5 of three groups
    assert found.change.hi - found.change.value == pytest.approx(reach95, rel=1e-5)


def tilted(policy: np.ndarray, advantage: np.ndarray, eta: float) -> np.ndarray:
    new = policy * np.exp(eta * advantage)
    return new / new.sum(1, keepdims=True)


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(2, 7))
@settings(max_examples=60, deadline=None)
def test_it_is_the_change_of_a_policy_under_a_small_step(seed: int, prompts: int, actions: int) -> None:
    """A tabular softmax policy with rational probabilities, every response in its exact share of the group."""
    rng, size = numpy_rng("test price", seed), 24
    counts = 1 + np.stack([rng.multinomial(size - actions, rng.dirichlet(np.ones(actions))) for _ in range(prompts)])
    policy = counts / size
    advantage, trait = rng.normal(size=(2, prompts, actions))
    eta = 1e-6
    after, before = (tilted(policy, advantage, step) for step in (eta, -eta))
    moved = ((after - before) * trait).sum(1).mean() / (2 * eta)
    written = [np.repeat(np.arange(actions), each) for each in counts]
    groups = [np.stack([table[i, rows] for i, rows in enumerate(written)]) for table in (advantage, trait)]
    predicted = one(*groups, n_perm=1).change.value * (size - 1) / size  # the covariance of the policy, not of a sample
    assert predicted == pytest.approx(moved, rel=1e-3, abs=1e-6)


def test_samples_of_a_policy_give_its_covariance_without_bias() -> None:
    rng = numpy_rng("test price samples")
    policy, trait = np.array([0.5, 0.3, 0.2]), np.array([0.0, 1.0, 3.0])
    advantage = np.array([1.0, -2.0, 0.5])
    truth = (policy * advantage * trait).sum() - (policy @ advantage) * (policy @ trait)
    drawn = rng.choice(3, p=policy, size=(20_000, 3))
    found = one(advantage[drawn], trait[drawn], n_perm=1).change
    assert found.lo < truth < found.hi
    assert found.hi - found.lo < 0.12


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng, hits = numpy_rng("test price cover"), 0
    for _ in range(300):
        slope = rng.normal(0.3, 0.5, size=(40, 1))  # of the trait on the advantage, problem by problem
        advantage = rng.normal(size=(40, 8))
        found = one(advantage, slope * advantage + rng.normal(size=(40, 8)), n_perm=1).change
        hits += found.lo <= 0.3 <= found.hi
    assert 0.91 <= hits / 300 <= 0.985


@pytest.mark.parametrize("binary", [False, True])
def test_p_is_uniform_where_the_reward_is_blind(binary: bool) -> None:
    """Problems of different difficulty, with missing advantages and traits: what a random reward has."""
    rng, found = numpy_rng("test price null", int(binary)), []
    for i in range(200):
        ease = rng.random((25, 1))
        trait = (rng.random((25, 6)) < ease).astype(float) if binary else ease + rng.normal(size=(25, 6))
        advantage = rng.normal(size=(25, 6))
        advantage[rng.random((25, 6)) < 0.1], trait[rng.random((25, 6)) < 0.1] = NAN, NAN
        found.append(one(advantage, trait, i, n_perm=199).change.p)
    assert kstest(found, "uniform").pvalue > 0.01
    assert abs(np.mean(np.array(found) < 0.05) - 0.05) < 0.045


def test_a_plant_is_found_and_lies_outside_the_band() -> None:
    rng = numpy_rng("test price plant")
    advantage = rng.normal(size=(60, 8))
    found = one(advantage, 0.3 * advantage + rng.normal(size=(60, 8)), n_perm=499)
    assert found.change.p == 1 / 500
    assert found.null.lo < 0 < found.null.hi < found.change.value
    assert found.null.n == 499


def test_the_band_is_that_of_blind_rewards() -> None:
    rng = numpy_rng("test price band")
    trait, inside = rng.normal(size=(30, 6)), 0
    for i in range(200):
        found = one(rng.normal(size=(30, 6)), trait, i, n_perm=100)
        inside += found.null.lo <= found.change.value <= found.null.hi
    assert 0.88 <= inside / 200 <= 0.99


@given(st.floats(-5, 5), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_a_constant_reward_is_exactly_nothing(value: float, seed: int) -> None:
    trait = numpy_rng("test price constant", seed).normal(size=(5, 7))
    found = one(np.full((5, 7), value), trait, n_perm=20)
    assert (found.change.value, found.change.lo, found.change.hi, found.change.p) == (0.0, 0.0, 0.0, 1.0)
    assert group_covariances(trait, np.full((5, 7), value)).tolist() == [0.0] * 5


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_identities(seed: int) -> None:
    """Levels do not matter, scale does; missing is the same as absent; the order of samples and problems is nothing."""
    rng = numpy_rng("test price identities", seed)
    advantage, trait = rng.normal(size=(2, 6, 5))
    found = group_covariances(advantage, trait)
    assert group_covariances(advantage + rng.normal(size=(6, 1)), 3 * trait - 7) == pytest.approx(3 * found)
    assert found == pytest.approx([np.cov(a, z)[0, 1] for a, z in zip(advantage, trait, strict=True)])
    padded = [np.concatenate([table, np.full((6, 2), NAN)], 1) for table in (advantage, trait)]
    assert group_covariances(*padded) == pytest.approx(found)
    order = rng.permutation(5)
    assert group_covariances(advantage[:, order], trait[:, order]) == pytest.approx(found)
    assert group_covariances(trait, advantage) == pytest.approx(found)


def test_traits_share_their_shuffles_and_do_not_disturb_each_other() -> None:
    rng = numpy_rng("test price traits")
    advantage, first, other = rng.normal(size=(3, 20, 6))
    units = {"first": "none", "other": "tokens", "none": "nats"}
    traits = {"first": first, "other": other, "none": np.full((20, 6), NAN)}
    together = forecasts(advantage, traits, units, ("a",), 99)
    alone = forecasts(advantage, {"first": first}, units, ("a",), 99)
    assert set(together) == {"first", "other"}
    assert together["first"].change == alone["first"].change
    assert together["first"].null.hi == pytest.approx(alone["first"].null.hi)
    assert together["other"].change.unit == "tokens"
    assert forecasts(advantage, {"first": first}, units, ("b",), 99)["first"].null != alone["first"].null


def test_a_group_of_one_says_nothing() -> None:
    assert forecasts([[1.0], [2.0]], {"z": [[1.0], [0.0]]}, {"z": "none"}, ("t",)) == {}
    found = one([[1.0, -1.0], [3.0, NAN]], [[1.0, 0.0], [1.0, 1.0]])
    assert (found.change.value, found.change.n_problems, found.change.n) == (1.0, 1, 2)
    assert np.isnan(found.change.lo)


def test_reach_by_hand() -> None:
    reward = [[1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 2.0, NAN], [1.0, 0.0, 0.0], [NAN, NAN, NAN]]
    trait = [[1.0, 0.0, 0.0], [1.0, 0.0, 0.5], [1.0, 0.0, 9.0], [NAN, 1.0, 0.0], [1.0, 1.0, 1.0]]
    today, there = reach(reward, trait)
    assert today == pytest.approx([1 / 3, 0.5, 0.5, 0.5, NAN], nan_ok=True)
    assert there == pytest.approx([0.5, 0.5, 0.0, 0.5, NAN], nan_ok=True)


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_reach_lies_among_what_is_written(seed: int) -> None:
    rng = numpy_rng("test price reach", seed)
    reward, trait = rng.integers(2, size=(8, 5)).astype(float), rng.normal(size=(8, 5))
    today, there = reach(reward, trait)
    assert ((trait.min(1) <= there) & (there <= trait.max(1))).all()
    assert (there[np.ptp(reward, 1) == 0] == today[np.ptp(reward, 1) == 0]).all()
    assert (np.sign(there - today) == np.sign(group_covariances(reward, trait)))[np.abs(there - today) > 1e-9].all()


# by strategy


def strategic(*address: int, groups: int = 60, samples: int = 8, pay: float = 1.0, right=(0.7, 0.3)):
    """Code in half of the responses, right more often in code; the advantage pays code (`pay`) and is noise besides."""
    rng = numpy_rng("test by strategy", *address)
    code = (rng.random((groups, samples)) < 0.5).astype(float)
    correct = (rng.random((groups, samples)) < np.where(code > 0, *right)).astype(float)
    return rng.normal(size=(groups, samples)) + pay * code, correct, code


def through(advantage, correct, code, n_perm=99, n_boot=200, address=("s",)):
    p = one(advantage, code, n_perm=n_perm).change.p
    return through_strategy(group_covariances(advantage, code), correct, code, p, address, n_boot)


def test_by_strategy_by_hand() -> None:
    advantage = [[1.0, -1.0], [1.0, -1.0], [0.0, 0.0]]
    code, correct = [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    advantage, code, correct = (np.tile(each, (20, 1)) for each in (advantage, code, correct))
    found = through_strategy(group_covariances(advantage, code), correct, code, 0.9, ("s",))
    assert found.value == pytest.approx((1.0 / 3) * (2 / 3 - 1 / 3))
    assert found.lo < found.value < found.hi
    assert (found.n, found.n_problems, found.null, found.p) == (120, 60, 0.0, 0.9)


def test_by_strategy_is_the_change_of_accuracy_that_goes_with_code() -> None:
    """Where correctness depends on the reward only by way of code, both forms forecast the same."""
    advantage, correct, code = strategic(groups=4000)
    found, direct = through(advantage, correct, code), one(advantage, correct).change
    assert found.lo < 0.25 * 0.4 < found.hi  # var(code) x gap
    assert direct.lo < 0.25 * 0.4 < direct.hi
    assert found.hi - found.lo < direct.hi - direct.lo


def test_by_strategy_covers_as_often_as_it_says() -> None:
    hits = sum((e := through(*strategic(i))).lo <= 0.1 <= e.hi for i in range(250))
    assert 0.9 <= hits / 250 <= 0.99


@pytest.mark.parametrize(("pay", "right"), [(0.0, (0.7, 0.3)), (1.0, (0.5, 0.5)), (0.0, (0.5, 0.5))])
def test_by_strategy_claims_nothing_where_a_factor_is_nothing(pay: float, right: tuple[float, float]) -> None:
    found = [through(*strategic(i, pay=pay, right=right), address=("s", i)).p for i in range(150)]
    assert np.mean(np.array(found) < 0.05) <= 0.1


def test_what_is_never_sampled_is_not_reinforced_and_what_is_not_graded_is_not_known() -> None:
    advantage, correct, code = strategic()
    for constant in (np.zeros_like(code), np.ones_like(code)):
        found = through(advantage, correct, constant)
        assert (found.value, found.lo, found.hi, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert np.isnan(through(advantage, np.where(code > 0, NAN, correct), code).value)


def test_problems_that_are_not_trained_on_still_say_how_accurate_a_strategy_is() -> None:
    advantage, correct, code = strategic(groups=4000)
    trained = np.where(np.arange(4000)[:, None] < 2000, advantage, NAN)
    half, whole = through(trained, correct, code), through(advantage, correct, code)
    ratio = np.nanmean(group_covariances(trained, code)) / group_covariances(advantage, code).mean()
    assert half.value / whole.value == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("advantage", "trait", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0], "have shape"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "have shape"),
        ([[1.0, 2.0]], [[1.0, 2.0, 3.0]], "differ in shape"),
        ([[1.0, np.inf]], [[1.0, 2.0]], "advantages hold infinite"),
        ([[1.0, 2.0]], [[1.0, -np.inf]], "trait hold infinite"),
        ([["a", "b"]], [[1.0, 2.0]], "no table of numbers"),
        ([[1.0, 2.0], [1.0]], [[1.0, 2.0]], "no table of numbers"),
    ],
)
def test_bad_input_is_named(advantage, trait, message: str) -> None:
    for call in (group_covariances, reach, one):
        with pytest.raises(BadInput, match=message):
            call(advantage, trait)


def test_bad_counts_are_named() -> None:
    with pytest.raises(BadInput, match="n_perm is 0"):
        one([[1.0, 2.0]], [[1.0, 2.0]], n_perm=0)
    with pytest.raises(BadInput, match="one for each group"):
        through_strategy([0.1, 0.2], [[1.0, 0.0]], [[1.0, 0.0]], 0.5, ("s",))
    with pytest.raises(BadInput, match="no group has a covariance"):
        through_strategy([NAN], [[1.0, 0.0]], [[1.0, 0.0]], 0.5, ("s",))
    with pytest.raises(BadInput, match="n_boot is 0"):
        through(*strategic(), n_boot=0)
