"""Correlations within groups: by hand, identities, the null's own rate, what is not defined, bad input."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.data import Estimate
from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats.correlation import correlation, deals, is_told


def r(score: Any, trait: Any, clusters: Any, *, within: bool = True, **more: Any) -> Estimate:
    about: dict[str, Any] = {"name": "r", "address": ("t",), "n_perm": 199}
    return correlation(score, trait, clusters, within=within, **about | more)


def test_within_groups_by_hand() -> None:
    """Centred within groups: x = (-1, 1, -1, 1), z = (-1, 1, 1, -1) / 2, so sum x z = 0; over all it is not."""
    score, trait, groups = [0, 2, 10, 12], [0, 1, 6, 5], ["a", "a", "b", "b"]
    assert r(score, trait, groups).value == pytest.approx(0)
    assert r(score, trait, groups, within=False).value == pytest.approx(np.corrcoef(score, trait)[0, 1])
    assert r([0, 1, 0, 2], [0, 1, 0, 1], groups).value == pytest.approx(1.5 / math.sqrt(2.5))


def test_part_by_hand() -> None:
    """r_x(z.c) = (r_xz - r_xc r_zc) / sqrt(1 - r_zc^2); its square is what z adds to R^2."""
    x, z, c = numpy_rng("test", "partial").normal(size=(3, 300)) @ np.eye(300)
    z, x = z + c, x + 0.5 * z + 2 * c
    xz, xc, zc = np.corrcoef(x, z)[0, 1], np.corrcoef(x, c)[0, 1], np.corrcoef(z, c)[0, 1]
    wanted = (xz - xc * zc) / math.sqrt(1 - zc**2)
    got = r(x, z, np.arange(300), within=False, others=c[:, None])
    assert got.value == pytest.approx(wanted)
    assert got.lo < wanted < got.hi


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 6), min_size=2, max_size=8), within=st.booleans(), seed=st.integers(0, 99))
def test_scores_are_dealt_out_within_groups_or_whole_groups_to_others(
    sizes: list[int], within: bool, seed: int
) -> None:
    codes = numpy_rng("test", "deals", seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    for deal in deals(codes, within, numpy_rng("test", "dealt", seed), 5):
        if within:
            assert sorted(deal) == list(range(codes.size))
        for group in range(len(sizes)):
            got = deal[codes == group]
            assert len(set(codes[got])) == 1  # all from one group
            assert codes[got[0]] == group or not within
            source = sizes[codes[got[0]]]
            assert len(set(got)) == min(source, sizes[group])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100), shift=st.floats(-50, 50), within=st.booleans())
def test_scale_shift_order_and_names_do_not_matter(seed: int, scale: float, shift: float, within: bool) -> None:
    rng = numpy_rng("test", "invariance", seed)
    score, trait, groups = rng.normal(size=48), rng.normal(size=48), np.repeat(np.arange(12), 4)
    found = r(score, trait, groups, within=within)
    order = rng.permutation(48)
    again = r((scale * score + shift)[order], trait[order], groups[order], within=within)
    assert (again.value, again.lo, again.hi) == pytest.approx((found.value, found.lo, found.hi), abs=1e-6)
    turned = r(-score, trait, groups, within=within)
    assert (turned.value, turned.lo, turned.hi) == pytest.approx((-found.value, -found.hi, -found.lo), abs=1e-9)
    assert turned.p == found.p
    assert -1 <= found.lo <= found.value <= found.hi <= 1


@pytest.mark.parametrize("within", [True, False])
@pytest.mark.parametrize("partial", [True, False])
def test_noise_is_called_at_the_rate_of_the_level(within: bool, partial: bool) -> None:
    """Groups differ in level and size; scores know nothing. Of 200 draws 10 are below .05: at most 20 (4 s.e.)."""
    low, covered = 0, 0
    for draw in range(200):
        rng = numpy_rng("test", "noise", draw)
        groups = np.repeat(np.arange(20), rng.integers(2, 7, size=20))
        level = rng.normal(size=20)[groups]
        trait, other = level + rng.normal(size=(2, groups.size))
        score = (rng.random(groups.size) < 0.5).astype(float)
        found = r(
            score, trait, groups, within=within, address=("noise", draw), others=other[:, None] if partial else None
        )
        assert found.p is not None
        low, covered = low + (found.p <= 0.05), covered + (found.lo <= 0 <= found.hi)
    assert low <= 22
    assert covered >= 174


def test_intervals_hold_the_truth() -> None:
    """Score and trait share a part within groups: r = .5."""
    hits = 0
    for draw in range(200):
        rng = numpy_rng("test", "truth", draw)
        common, one, other = rng.normal(size=(3, 30, 6))
        score, trait = (each.ravel() for each in (common + one, common + other))
        found = r(score, trait, np.repeat(np.arange(30), 6), n_perm=1)
        hits += found.lo <= 0.5 <= found.hi
    assert hits >= 178  # of 190 expected


def test_what_is_not_defined_says_why() -> None:
    groups = [0, 0, 1, 1]
    flat = r([1, 1, 2, 2], [0, 1, 0, 1], groups)
    assert math.isnan(flat.value) and flat.p is None and flat.params["reason"] == "the score does not vary"
    assert r([0, 1, 0, 1], [5, 5, 6, 6], groups).params["reason"] == "the trait does not vary"
    assert r([0.1 + 0.2, 0.3, 0, 1], [1, 2, 3, 4], groups).value > 0  # rounding is no variation, but 0 and 1 are
    told = r([0, 1, 0, 1], [0, 1, 1, 0], groups, others=np.array([[0.0, 3, 5, 2]]).T)
    assert told.params["reason"] == "the other traits tell this one"
    assert is_told([0, 1, 1, 0], np.array([[0.0, 3, 5, 2]]).T, groups, within=True)
    assert not is_told([0, 1, 1, 0], np.array([[0.0, 3, 5, 2]]).T, groups, within=False)
    assert not is_told([1, 1, 2, 2], np.zeros((4, 0)), groups, within=True)  # it does not vary


def test_a_score_that_the_others_tell_follows_nothing_else() -> None:
    rng = numpy_rng("test", "told")
    score, trait = rng.normal(size=(2, 40))
    found = r(score, trait, np.repeat(np.arange(10), 4), others=2 * score[:, None] + 1)
    assert (found.value, found.p) == (0.0, 1.0)
    assert found.lo <= 0 <= found.hi


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"trait": [0, 1]}, "2 rows"),
        ({"score": [0, math.nan, 1, 1]}, "missing or infinite"),
        ({"others": [[0.0], [1.0]]}, "2 rows"),
        ({"others": [1.0, 2.0, 3.0, 4.0]}, "shape"),
        ({"others": [[math.inf]] * 4}, "gaps"),
        ({"n_perm": 0}, "n_perm is 0"),
    ],
    ids=str,
)
def test_bad_columns_are_refused(change: dict[str, Any], says: str) -> None:
    columns: dict[str, Any] = {"score": [0, 1, 0, 1], "trait": [0, 1, 1, 0], "clusters": [0, 0, 1, 1]}
    with pytest.raises(BadInput, match=says):
        r(**columns | change)
