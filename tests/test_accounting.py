"""The accounting of an accuracy change: parts that sum, overlaps by hand, the true explanation found among rivals."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from explained_pairs import (
    KINDS,
    answers,
    base,
    expected,
    leaked,
    learnt,
    made,
    models,
    readable,
    same,
    sharper,
    strategy,
)
from scipy.stats import binom

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats.accounting.account import Account, Answers, Evidence, account
from probe.stats.accounting.arms import arm, halves
from probe.stats.accounting.atoms import CLAIMANTS, Atom, Cuts, alone, atoms, beyond, shares, total, unclaimed
from probe.stats.accounting.channels import CHANNELS, channels
from probe.stats.accounting.sharpening import place
from probe.stats.accounting.verdict import Needs, decide
from probe.stats.oaxaca import gain_parts

PAIRS = 200
MEASURED = {name: Needs() for name in CLAIMANTS}
TRUE = {strategy: "strategy", sharper: "sharpening", leaked: "leak", readable: "prompt", learnt: "acquired"}


def upper(rate: float, n: int) -> int:
    """A count that a share of `rate` of n exceeds once in a thousand times."""
    return int(binom.isf(1e-3, n, rate))


# identities


def random_counts(seed: int, strategies: int, draws: int = 50) -> np.ndarray:
    """Nested counts, some strategies absent and some without a readable answer."""
    rng = numpy_rng("counts", seed)
    n = rng.integers(0, 9, size=(draws, strategies)) * rng.integers(0, 2, size=(draws, strategies))
    n[:, 0] += 1
    parsed = rng.binomial(n, rng.random(n.shape))
    return np.stack([n, parsed, rng.binomial(parsed, 0.5)], axis=-1).astype(float)


@pytest.mark.parametrize("seed", range(20))
def test_channels_sum_to_the_change(seed: int) -> None:
    before, after = (random_counts(2 * seed + side, 1 + seed % 4) for side in (0, 1))
    found = channels(before, after)
    rates = [each[..., 2].sum(-1) / each[..., 0].sum(-1) for each in (before, after)]
    np.testing.assert_allclose(found.sum(-1), rates[1] - rates[0], atol=1e-9)
    assert np.abs(channels(before, before)).max() == 0


def counts(*strategies: tuple[float, float, float]) -> np.ndarray:
    """One draw of (all, parsed, right) by strategy."""
    return np.array([strategies], dtype=float)


def test_channels_by_hand_and_where_they_are_those_of_the_parts() -> None:
    """Where no share moves, and where no rate does, both accounts are one."""
    move = channels(counts((5, 5, 5), (5, 5, 0)), counts((8, 8, 8), (2, 2, 0)))
    np.testing.assert_allclose(move, [[0.3, 0, 0]])
    still = channels(counts((5, 4, 2), (5, 5, 0)), counts((5, 5, 5), (5, 5, 5)))
    parts = gain_parts([5, 5], [2, 0], [5, 5], [5, 5], parsed_before=[4, 5], parsed_after=[5, 5])
    np.testing.assert_allclose(still, [[parts[name] for name in CHANNELS]])
    both = channels(counts((2, 2, 1), (8, 8, 8)), counts((8, 8, 8), (2, 2, 2)))
    np.testing.assert_allclose(both, [[0.6 * 0.5 - 0.6 * 1.0, 0, 0.8 * 0.5]])  # at what each was worth before


def test_a_strategy_that_is_taught_and_moved_to_is_no_mix() -> None:
    """Code was worse than prose, and rare; it became better, and frequent: the move itself was worth a loss."""
    found = channels(counts((5, 5, 1), (95, 95, 47.5)), counts((95, 95, 85.5), (5, 5, 2.5)))
    np.testing.assert_allclose(found, [[0.9 * (0.2 - 0.5), 0, 0.95 * 0.7]])


def test_the_last_responses_of_a_strategy_decide_nothing() -> None:
    """One response in a thousand is left in prose: whether it is right moves no channel by more than it weighs."""
    before = counts((300, 300, 240), (700, 700, 210))
    wrong, right = (channels(before, counts((999, 999, 799), (1, 1, one))) for one in (0, 1))
    assert np.abs(right - wrong).max() < 0.002
    sums = [gain_parts([300, 700], [240, 210], [999, 1], [799, one]) for one in (0, 1)]
    assert abs(sums[1]["mix"] - sums[0]["mix"]) > 0.3  # of the midpoint it would decide half


@pytest.mark.parametrize("bad", [(5, 6, 1), (5, 4, 5), (5, 4, -1)])
def test_counts_that_do_not_fit_are_refused(bad: tuple[int, int, int]) -> None:
    with pytest.raises(BadInput, match="counts are not 0 <= right <= parsed <= n"):
        channels(counts((5, 5, 5)), counts(bad))


def test_each_channel_alone_by_hand() -> None:
    told = {"parsed_before": [8, 2], "parsed_after": [4, 6]}
    parts = gain_parts([8, 2], [4, 0], [4, 6], [2, 0], **told)  # code right half the time, prose never
    assert parts["mix"] == pytest.approx(-0.4 * 0.5)
    assert parts["parse"] == parts["within"] == 0
    read = gain_parts([10], [2], [10], [4], parsed_before=[4], parsed_after=[8])
    assert read["parse"] == pytest.approx(0.4 * 0.5)
    assert gain_parts([10], [2], [10], [4])["within"] == pytest.approx(0.2)
    gone = gain_parts([5, 5], [5, 0], [0, 10], [0, 0])  # code is gone: all it brought was mix
    assert gone["mix"] == pytest.approx(-0.5)
    assert gone["within"] == 0


@pytest.mark.parametrize("seed", range(30))
def test_the_table_sums_to_the_change(seed: int) -> None:
    rng = numpy_rng("cuts", seed)
    cuts = Cuts(*rng.normal(size=(5, 40, len(CHANNELS))))
    pieces, change = atoms(cuts), cuts.gain.sum(-1)
    np.testing.assert_allclose(sum(each.amount for each in pieces), change, atol=1e-9)
    np.testing.assert_allclose(sum(shares(pieces).values()), change, atol=1e-9)
    for name in CLAIMANTS:
        rest = unclaimed(pieces, [name])
        np.testing.assert_allclose(total(pieces, name) + rest, change, atol=1e-9)
        others = set(CLAIMANTS) - {name}
        np.testing.assert_allclose(beyond(pieces, name, others), alone(pieces, name), atol=1e-12)
        np.testing.assert_allclose(beyond(pieces, name, ()), total(pieces, name), atol=1e-12)
    assert np.abs(unclaimed(pieces, CLAIMANTS)).max() == 0


def test_overlaps_by_hand() -> None:
    """A gain of .5, all mix; sharpening the base gives .2 of that and .1 within."""
    zero = np.zeros((1, 3))
    pieces = atoms(Cuts(np.array([[0.5, 0.0, 0.0]]), np.array([[0.2, 0.0, 0.1]]), zero, zero, zero))
    found = {name: (alone(pieces, name)[0], total(pieces, name)[0]) for name in CLAIMANTS}
    assert found["strategy"] == pytest.approx((0.3, 0.5))
    assert found["sharpening"] == pytest.approx((0.1, 0.3))
    assert found["acquired"] == pytest.approx((-0.1, -0.1))  # the base, as sure, would be better within
    assert found["prompt"] == found["leak"] == (0, 0)
    assert shares(pieces)["strategy"][0] == pytest.approx(0.4)


# counterfactuals


def test_the_place_on_the_ladder_is_the_temperature_that_was_planted() -> None:
    rng = numpy_rng("ladder")
    model, names = base(rng, 300), [f"p{i}" for i in range(300)]
    temperatures = (1.4, 1.0, 0.8, 0.6, 0.4, 0.0)
    rungs = [answers(model, 8, t, names, rng) for t in temperatures]
    weights = np.ones((1, 300))
    for planted in (1.4, 1.2, 1.0, 0.7, 0.5, 0.2):
        after = answers(replace(model, temperature=planted), 8, 1.0, names, rng)
        found = place(weights, rungs, rungs[1], after)[0]
        assert np.interp(found, range(6), temperatures) == pytest.approx(planted, abs=0.05)


def test_a_move_to_the_surer_strategy_is_no_sharpening() -> None:
    rng, names = numpy_rng("surer"), [f"p{i}" for i in range(300)]
    model = replace(base(rng, 300), nats=np.array([0.2, 0.9]))
    moved = replace(model, code=model.code + 2.5)
    rungs = [answers(model, 8, t, names, rng) for t in (1.0, 0.6, 0.0)]
    after = answers(moved, 8, 1.0, names, rng)
    assert place(np.ones((1, 300)), rungs, rungs[0], after)[0] < 0.1


def test_a_prompt_that_repairs_the_base_explains_what_is_gone_under_it() -> None:
    rng, names = numpy_rng("prompt"), [f"p{i}" for i in range(200)]
    bad, good = base(rng, 200), None
    bad = replace(bad, right=bad.right - 1.0)
    good = replace(bad, right=bad.right + 2.0)
    sides = [answers(each, 8, 1.0, names, rng) for each in (bad, good)]
    repaired = tuple(answers(good, 8, 1.0, names, rng) for _ in range(2))
    worse = tuple(answers(replace(bad, right=bad.right - 2), 8, 1.0, names, rng) for _ in range(2))
    evidence = Evidence(Answers(*sides, colder=()), tried=(worse, repaired))
    found = account(evidence, address=("prompt",), n_boot=200)
    assert alone(found.pieces, "prompt")[0] == pytest.approx(found.change[0], abs=0.05)
    assert found.best_prompt is not None
    assert found.best_prompt[0] == pytest.approx(found.change[0], abs=0.05)
    assert decide(found, MEASURED).main == "prompt"


def test_halves_are_equal_whatever_the_order() -> None:
    names = [f"p{i}" for i in range(101)]
    which = dict(zip(names, halves(names), strict=True))
    assert Counter(which.values()) == {0: 51, 1: 50}
    assert dict(zip(names[::-1], halves(names[::-1]), strict=True)) == which


# the verdict


@pytest.fixture(scope="module")
def verdicts():
    """By plant: of each pair the verdict, half of them gains and half of them losses."""
    found = {}
    for plant in (same, *TRUE):
        pairs = [made([plant], seed, n=120, fall=bool(seed % 2)) for seed in range(PAIRS)]
        accounts = [account(each, address=("pair", i), n_boot=300) for i, each in enumerate(pairs)]
        for each in accounts:
            np.testing.assert_allclose(sum(a.amount for a in each.pieces), each.change, atol=1e-9)
        found[plant] = [decide(each, MEASURED) for each in accounts]
    return found


def test_nothing_is_explained_where_nothing_changed(verdicts) -> None:
    changed = sum(each.state == "changed" for each in verdicts[same])
    assert changed <= upper(0.05, PAIRS)
    assert sum(each.main is not None for each in verdicts[same]) <= upper(0.05, PAIRS)


@pytest.mark.parametrize("plant", TRUE)
def test_the_true_explanation_is_found_and_no_rival(verdicts, plant) -> None:
    clear = [each for each in verdicts[plant] if each.state == "changed"]
    assert len(clear) > PAIRS / 3
    n, true = len(clear), TRUE[plant]
    least = 0.44 if plant is sharper else 0.9  # what colder sampling makes readable or moves is shared with others
    assert sum(each.main == true for each in clear) >= least * n
    assert sum(each.findings[true].standing == "excluded" for each in clear) <= upper(0.05, n)
    for rival in set(CLAIMANTS) - {true}:
        standing = Counter(each.findings[rival].standing for each in clear)
        assert standing["supported"] <= upper(0.05, n), (rival, standing)


@pytest.mark.parametrize("plants", [(strategy, readable), (leaked, strategy)])
def test_both_of_two_are_found_where_both_are_large(plants) -> None:
    """Large: what each brings by itself is at least .35 of what both bring."""
    tried = {}
    for seed in range(150):
        start, after = map(expected, models(plants, seed, 400))
        own = [expected(models([plant], seed, 400)[1]) - start for plant in plants]
        if abs(after - start) > 0.1 and min(each / (after - start) for each in own) > 0.35:
            pair = made(plants, seed)
            tried[seed] = decide(account(pair, address=("both", seed), n_boot=400), MEASURED).findings
    standing = [tuple(found[TRUE[plant]].standing for plant in plants) for found in tried.values()]
    others = set(CLAIMANTS) - {TRUE[plant] for plant in plants}
    assert len(tried) >= 5
    assert sum(each == ("supported", "supported") for each in standing) >= 0.7 * len(tried), Counter(standing)
    for rival in others:
        assert sum(found[rival].standing == "supported" for found in tried.values()) <= upper(0.05, len(tried))


def test_what_was_not_measured_is_undecided_and_says_what_would_decide() -> None:
    evidence = made([strategy], 1)
    bare = Evidence(replace(evidence.asked, colder=None, hotter=()))
    needs = {name: Needs(("the base's weights",), ("fresh problems",)) for name in CLAIMANTS}
    found = decide(account(bare, address=("bare",), n_boot=100), needs)
    assert found.state == "changed"
    assert found.main is None
    assert all(each.standing != "supported" for each in found.findings.values())
    assert found.findings["strategy"].why == "the base's weights; fresh problems"


def test_a_destroyed_model_is_not_explained() -> None:
    found = decide(account(made([strategy], 1), address=("x",), n_boot=50), MEASURED, destroyed=True)
    assert (found.state, found.main) == ("destroyed", None)
    assert {each.standing for each in found.findings.values()} == {"undecided"}


# bad input


def test_arms_that_do_not_belong_together_are_refused() -> None:
    one, two = (arm([name, "b"], ["code"] * 2, [1, 1], [1, 0], strategies=KINDS) for name in ("a", "c"))
    with pytest.raises(BadInput, match="different problems"):
        Answers(one, two)
    with pytest.raises(BadInput, match="right but not parsed"):
        arm(["a"], ["code"], [0], [1], strategies=KINDS)
    with pytest.raises(BadInput, match="'rhyme' is no strategy"):
        arm(["a"], ["rhyme"], [1], [1], strategies=KINDS)
    lone = arm(["a"], ["code"], [1], [1], strategies=KINDS)
    with pytest.raises(BadInput, match="at least two problems"):
        Answers(lone, lone)
    with pytest.raises(BadInput, match="right <= parsed"):
        gain_parts([1], [2], [1], [1])


def told(value: float, noise: str, spread: float = 0.004) -> np.ndarray:
    """An amount with a narrow interval."""
    return value + np.append(0.0, spread * numpy_rng("ceilings", noise).normal(size=400))


def account_of(
    alone: dict[str, float],
    parse: float = 0.0,
    best: float | None = None,
    back: float = 0.0,
    within: float | None = None,
) -> Account:
    """A change of which each explanation accounts for an amount that nothing else claims; pass@k moved with it."""
    pieces = tuple(Atom(frozenset({name}), told(value, name)) for name, value in alone.items())
    change = np.sum([piece.amount for piece in pieces], axis=0)
    given = (None, None) if best is None else (told(best, "best"), told(back, "back"))
    solved = 0.5 * change
    inside = sum(value for name, value in alone.items() if name != "strategy") if within is None else within
    channel = {"mix": change, "parse": told(parse, "parse"), "within": told(inside, "within")}
    return Account(change, pieces, None, solved, *given, CLAIMANTS, channel, 4096, 256)


def supported(account: Account) -> set[str]:
    found = decide(account, dict.fromkeys(CLAIMANTS, Needs()))
    return {name for name, each in found.findings.items() if each.standing == "supported"}


@pytest.mark.parametrize("sign", [1, -1])
def test_what_sharpening_and_acquisition_claim_against_each_other_supports_neither(sign: int) -> None:
    """A base that is colder everywhere expects more within strategies than happened there: the net is what counts."""
    assert supported(account_of({"strategy": 0.3 * sign, "sharpening": 0.12 * sign})) == {"strategy", "sharpening"}
    netted = account_of({"strategy": 0.3 * sign, "sharpening": 0.12 * sign, "acquired": -0.11 * sign})
    assert supported(netted) == {"strategy"}
    turned = account_of({"strategy": 0.3 * sign, "sharpening": -0.11 * sign, "acquired": 0.12 * sign})
    assert supported(turned) == {"strategy"}


@pytest.mark.parametrize("sign", [1, -1])
def test_what_did_not_happen_within_strategies_is_neither_sharpening_nor_acquisition(sign: int) -> None:
    """Under the best prompt the model lost what it no longer uses; as it is asked, nothing of it shows."""
    amounts = {"strategy": 0.3 * sign, "acquired": 0.25 * sign}
    assert supported(account_of(amounts)) == {"strategy", "acquired"}
    assert supported(account_of(amounts, within=0.02 * sign)) == {"strategy"}


def test_a_prompt_that_is_no_better_for_the_base_explains_no_gain() -> None:
    """What was taught under one prompt is gone under the other, and the other gives the base nothing."""
    amounts = {"leak": 0.2, "prompt": 0.1}
    assert supported(account_of(amounts, best=0.15)) == {"leak", "prompt"}
    assert supported(account_of(amounts, best=0.0)) == {"leak"}
    assert supported(account_of(amounts, best=0.0, parse=0.15)) == {"leak", "prompt"}  # it repaired the format


def test_a_prompt_explains_a_loss_that_it_gives_back() -> None:
    amounts = {"acquired": -0.2, "prompt": -0.15}
    assert supported(account_of(amounts, best=0.2, back=0.2)) == {"acquired", "prompt"}
    assert supported(account_of(amounts, best=0.2, back=0.0)) == {"acquired"}
    assert supported(account_of(amounts, best=0.2, back=0.0, parse=-0.15)) == {"acquired", "prompt"}
