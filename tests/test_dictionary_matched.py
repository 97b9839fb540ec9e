"""Latents as strong as the one that is claimed, and injected tokens: by hand, planted, and uniform under the null."""

import math

import numpy as np
import pytest

from probe.dictionaries.audits.injection import injection
from probe.dictionaries.audits.matched import magnitudes, matched_sets, null_p
from probe.errors import BadInput
from probe.rng import numpy_rng


def test_matched_latents_are_near_and_addressed() -> None:
    size = np.exp(numpy_rng("sizes").normal(size=600))
    size[:50] = 0
    found = matched_sets(size, [100], ("draw", 1), n=120, exclude=[200, 201])
    drawn = found.latents[:, 0]
    assert len(set(drawn.tolist())) == 120 and not set(drawn.tolist()) & {100, 200, 201} and drawn.min() >= 50
    others = np.delete(size, [*range(50), 100, 200, 201])
    nearest = np.sort(np.exp(np.abs(np.log(others / size[100]))))
    assert np.exp(np.abs(np.log(size[drawn] / size[100]))).max() == pytest.approx(found.widest)
    assert found.widest == pytest.approx(nearest[119])
    assert np.array_equal(found.latents, matched_sets(size, [100], ("draw", 1), n=120, exclude=[200, 201]).latents)
    assert not np.array_equal(found.latents, matched_sets(size, [100], ("draw", 2), n=120, exclude=[200, 201]).latents)


def test_matched_sets_have_a_member_for_each() -> None:
    size = np.exp(numpy_rng("sizes").normal(size=400))
    largest = np.argsort(-size)[:5].tolist()
    found = matched_sets(size, largest, ("sets",), n=100)
    assert found.latents.shape == (100, 5) and not set(found.latents.ravel().tolist()) & set(largest)
    assert all(len(set(row)) == 5 for row in found.latents.tolist())
    few = matched_sets(size[:12], [0, 1, 2], ("few",), n=100)
    assert all(len(set(row)) == 3 for row in few.latents.tolist())


def test_too_few_live_latents_are_no_null() -> None:
    size = np.ones(101)
    assert matched_sets(size, [0], ("all",)).latents.shape == (100, 1)
    size[1] = 0
    with pytest.raises(BadInput, match="99 other live latents for 100"):
        matched_sets(size, [0], ("all",))
    with pytest.raises(BadInput, match="never fires"):
        matched_sets(size, [1], ("all",))
    with pytest.raises(BadInput, match="latents"):
        matched_sets(size, [101], ("all",))
    with pytest.raises(BadInput, match="latents"):
        matched_sets(size, [2, 2], ("all",))


def test_magnitudes_by_hand() -> None:
    assert magnitudes([0.5, 0], [2, math.nan], [3, 1]).tolist() == [3, 0]


def test_p_by_hand() -> None:
    nulls = [0.0, 1, -5, 2]
    assert [null_p(2, nulls, tail) for tail in ("greater", "less", "both")] == [2 / 5, 1, 3 / 5]
    assert null_p(9, np.zeros(99)) == 0.01
    for observed, drawn in ((math.nan, [1.0]), (1.0, []), (1.0, [math.nan])):
        with pytest.raises(BadInput):
            null_p(observed, drawn)


def test_p_is_uniform_where_the_latent_is_one_of_the_nulls() -> None:
    rng = numpy_rng("uniform")
    p = [null_p(each[0], each[1:]) for each in rng.normal(size=(600, 100))]
    assert np.mean(p) == pytest.approx(0.505, abs=0.04) and np.mean(np.array(p) <= 0.05) == pytest.approx(
        0.05, abs=0.025
    )


def texts(seed: int, *, by_token: float, apart: float = 1.0, n: int = 60) -> tuple:
    """A latent that is `apart` higher in code, of which the token alone brings `by_token`; two texts a problem."""
    rng = numpy_rng("texts", seed)
    yes, no, noise = (0.3 * rng.normal(size=n) for _ in range(3))
    problems = np.repeat(np.arange(n // 2), 2)
    return yes + apart, no, no + by_token + noise, (problems, problems)


def test_injection_by_hand() -> None:
    found = injection([3, 5], [1, 1], [2, 3], (["a", "b"], ["a", "b"]), ("hand",))
    assert (found.difference.value, found.share.value) == (3, 0.5)


@pytest.mark.parametrize(
    ("by_token", "apart", "verdict"),
    [
        (0.9, 1.0, "fires on the token"),
        (-0.9, -1.0, "fires on the token"),
        (0.0, 1.0, "not the token alone"),
        (0.2, 1.0, "not the token alone"),
        (0.46, 1.0, "undecided"),
        (0.9, 0.0, "no class difference"),
    ],
)
def test_injected_tokens_tell_what_a_latent_fires_on(by_token: float, apart: float, verdict: str) -> None:
    found = injection(*texts(1, by_token=by_token, apart=apart), ("inject",))
    assert found.verdict == verdict
    if apart:
        assert found.share.lo < by_token / apart < found.share.hi and found.share.n_problems == 30


def test_injection_is_flat_where_nothing_differs() -> None:
    told = [injection(*texts(s, by_token=0.0, apart=0.0), ("null", s), 300).verdict for s in range(40)]
    assert told.count("no class difference") >= 34


def test_injection_does_not_depend_on_the_order_of_texts() -> None:
    yes, no, injected, (p, q) = texts(2, by_token=0.6)
    order = numpy_rng("shuffle").permutation(len(no))
    one = injection(yes, no, injected, (p, q), ("order",))
    two = injection(yes, no[order], injected[order], (p, q[order]), ("order",))
    assert one.share.lo == pytest.approx(two.share.lo) and one.share.value == pytest.approx(two.share.value)


def test_bad_injections() -> None:
    with pytest.raises(BadInput, match="injected has 1 rows"):
        injection([1], [1, 2], [1], (["a"], ["a", "b"]), ("x",))
    with pytest.raises(BadInput, match="problems"):
        injection([1], [1, 2], [1, 2], (["a"], ["a"]), ("x",))
    with pytest.raises(BadInput, match="missing or infinite"):
        injection([math.nan], [1], [1], (["a"], ["a"]), ("x",))


def test_members_of_a_set_are_nearer_than_a_latent_alone_can_be() -> None:
    """A set of ten has many stand-ins among few candidates: the pools need not reach as far as the draws do."""
    size = np.exp(numpy_rng("sizes").normal(size=130))
    order = np.argsort(size)
    found = matched_sets(size, order[60:70].tolist(), ("near",), n=100)
    assert len({tuple(sorted(row)) for row in found.latents.tolist()}) == 100
    assert found.widest < 1.5 < matched_sets(size, [int(order[65])], ("far",), n=100).widest
