"""Norms, latent scaling, firing: by hand, planted, and flat where nothing happened."""

import math

import numpy as np
import pytest
import torch
from planted_pairs import dictionary, features, sparse, written
from torch import Tensor

from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.firing import Firing, changes, firing
from probe.dictionaries.diffing.latent_scaling import latent_scaling
from probe.dictionaries.diffing.norms import decoder_cosine, latent_classes, relative_norm
from probe.dictionaries.pair import directions
from probe.errors import BadInput
from probe.rng import numpy_rng, torch_rng
from probe.stats.intervals import clustered_mean, clustered_ratio
from probe.stats.permutation import holm

ALIKE = {"atol": 1e-9, "rtol": 0}


def test_norms_by_hand() -> None:
    W_dec = torch.tensor([[[3.0, 4], [0, 0]], [[1, 0], [0, 1]], [[0, 0], [0, 2]], [[1, 0], [2, 0]], [[0, 0], [0, 0]]])
    found = dictionary(W_dec, W_enc=torch.zeros(2, 2, 5))
    r = relative_norm(found)
    assert r[:4].tolist() == [0, 0.5, 1, 0.75] and r[4].isnan()
    assert latent_classes(r).tolist() == ["before-only", "shared", "after-only", "between", "empty"]
    assert decoder_cosine(found)[1:4:2].tolist() == [0, 1]
    assert decoder_cosine(found)[[0, 2, 4]].isnan().all()


def test_the_edges_of_the_classes() -> None:
    r = torch.tensor([0.0999, 0.1, 0.3999, 0.4, 0.6, 0.6001, 0.9, 0.9001], dtype=torch.float64)
    told = ["before-only", "between", "between", "shared", "shared", "between", "between", "after-only"]
    assert latent_classes(r).tolist() == told


def test_swapping_the_models_turns_the_norms_round() -> None:
    W_dec = torch.randn(20, 2, 5, generator=torch_rng("swap"))
    there, back = (dictionary(each, W_enc=torch.zeros(2, 5, 20)) for each in (W_dec, W_dec.flip(1)))
    torch.testing.assert_close(relative_norm(there), 1 - relative_norm(back))
    torch.testing.assert_close(decoder_cosine(there), decoder_cosine(back))


def test_one_model_is_no_pair() -> None:
    alone = dictionary(torch.ones(3, 1, 4), models=("one",))
    for ask in (relative_norm, decoder_cosine, lambda each: latent_scaling(each, [])):
        with pytest.raises(BadInput, match="1 models: one"):
            ask(alone)


def scaled(before: float, told_by_other: float = 0.0, *, scale: tuple[float, float] = (1.0, 1.0)) -> tuple:
    """Feature 0 is in after, and in before with strength `before`; its latent says nothing of before.

    `told_by_other`: how much of it latent 1, which fires with it, says of before. nu of latent 0 owned by after.
    """
    truth = features(6, 12, "scaling")
    strength = [[0.0, 1, 1, 1, 1, 1], [1.0, 0, 1, 1, 1, 1]]
    W_dec = written(truth, strength)
    W_dec[1, 0] = told_by_other * truth[0]
    f = sparse(400, 6, "scaling")
    f[:, 1] = f[:, 0]
    x = torch.einsum("rn,nmd->rmd", f, written(truth, [[before, 0, 1, 1, 1, 1], [1, 0, 1, 1, 1, 1]]))
    x = x / torch.tensor(scale, dtype=x.dtype)[:, None]
    W_enc = torch.zeros(2, 12, 6, dtype=x.dtype)
    W_enc[1] = truth.T
    W_enc[1, :, 1] = truth[0]
    found = latent_scaling(dictionary(W_dec, W_enc=W_enc, scale=scale), x.split(150))
    return float(found.nu_eps[1, 0]), float(found.nu_r[1, 0]), bool(found.genuine[1, 0])


@pytest.mark.parametrize(
    ("case", "nu_eps", "nu_r", "genuine"),
    [
        ((0.0, 0.0), 0.0, 0.0, True),  # truly missing from before
        ((0.5, 0.0), 0.5, 0.0, False),  # there, weaker: shrunk out of the latent
        ((0.1, 0.0), 0.1, 0.0, True),  # there, but hardly
        ((0.5, 0.5), 0.0, 0.5, False),  # there, told by another latent
        ((1.0, 1.0), 0.0, 1.0, False),
        ((-0.7, 0.0), -0.7, 0.0, False),  # there, turned round
    ],
)
def test_latent_scaling_tells_what_is_missing_from_what_is_hidden(
    case: tuple[float, float], nu_eps: float, nu_r: float, genuine: bool
) -> None:
    assert scaled(*case) == (pytest.approx(nu_eps, abs=1e-9), pytest.approx(nu_r, abs=1e-9), genuine)


def test_latent_scaling_reads_models_of_different_size_at_one_size() -> None:
    assert scaled(0.5, scale=(0.25, 3.0))[0] == pytest.approx(0.5, abs=1e-9)


def noisy_pair(seed: int, *, centred: bool = True) -> tuple[Dictionary, Tensor]:
    """A dictionary of nothing in particular, and rows that it does not explain."""
    rng = torch_rng("noisy", seed)
    W_dec, W_enc = (torch.randn(*shape, generator=rng).double() for shape in ((9, 2, 5), (2, 5, 9)))
    b_dec = torch.randn(2, 5, generator=rng).double()
    found = dictionary(W_dec, W_enc=W_enc, scale=[0.5, 2.0], b_dec=b_dec, centred=centred)
    return found, torch.randn(300, 2, 5, generator=torch_rng("rows of", seed)).double()


@pytest.mark.parametrize("centred", [True, False])
def test_nu_is_the_least_squares_fit(centred: bool) -> None:
    """Against numpy's solver, row by row, for both owners."""
    found, x = noisy_pair(3, centred=centred)
    scaling, f = latent_scaling(found, [x]), found.encode(x)
    z = found.scale[:, None] * (x - found.b_dec)
    told = torch.einsum("rn,nmd->rmd", f, found.W_dec)
    for own, other in ((0, 1), (1, 0)):
        for j in range(9):
            basis = (f[:, j, None] * found.W_dec[j, own]).flatten().numpy()[:, None]
            put_back = {m: z[:, m] - told[:, m] + f[:, j, None] * found.W_dec[j, m] for m in (0, 1)}
            eps, rec = (
                {m: np.linalg.lstsq(basis, y[m].flatten().numpy())[0][0] for m in (0, 1)}
                for y in (put_back, told.unbind(1))
            )
            for nu, got in ((eps, scaling.nu_eps[own, j]), (rec, scaling.nu_r[own, j])):
                assert (got.isnan() and nu[own] <= 0) or float(got) == pytest.approx(nu[other] / nu[own], rel=1e-6)


def test_latent_scaling_does_not_depend_on_the_batches() -> None:
    found, x = noisy_pair(4)
    one, many = latent_scaling(found, [x]), latent_scaling(found, x.split(7))
    for a, b in ((one.nu_eps, many.nu_eps), (one.nu_r, many.nu_r), (one.fired, many.fired)):
        torch.testing.assert_close(a, b, equal_nan=True)


def test_the_same_model_twice_has_every_feature_in_both() -> None:
    truth = features(6, 12, "null")
    found = dictionary(written(truth, [[1] * 6, [1] * 6]))
    x = torch.einsum("rn,nd->rd", sparse(200, 6, "null"), truth)[:, None].expand(-1, 2, -1)
    scaling = latent_scaling(found, [x])
    torch.testing.assert_close(scaling.nu_eps, torch.ones(2, 6).double(), **ALIKE)
    torch.testing.assert_close(scaling.nu_r, torch.ones(2, 6).double(), **ALIKE)
    assert not scaling.genuine.any()


def test_what_never_fires_is_never_genuine() -> None:
    truth = features(3, 5, "dead")
    found = dictionary(written(truth, [[0, 1, 1], [1, 1, 1]]))
    x = torch.einsum("rn,nmd->rmd", torch.tensor([[0.0, 1, 1]]).double(), found.W_dec)
    scaling = latent_scaling(found, [x])
    assert (
        scaling.fired.tolist() == [0, 1, 1] and scaling.nu_eps[:, 0].isnan().all() and not scaling.genuine[:, 0].any()
    )
    for batches in ([], [torch.zeros(4, 2, 5)]):
        with pytest.raises(BadInput, match="no latent fired"):
            latent_scaling(found, batches)


def labelled(seed: int = 0, *, lift: float = 0.0, problems: int = 30, each: int = 8) -> Firing:
    """Four groups of rows; after code, latent 0 fires more often by `lift`, and latent 1 twice as strongly."""
    rng, batches = numpy_rng("firing", seed), []
    for group in ("code/before", "code/after", "prose/before", "prose/after"):
        f = np.where(rng.random((problems * each, 20)) < 0.3, rng.random((problems * each, 20)) + 0.5, 0.0)
        if lift and group == "code/after":
            f[:, 0] = np.where(rng.random(len(f)) < 0.3 + lift, 1.0, 0.0)
            f[:, 1] *= 2
        names = np.repeat([f"p{i:02}" for i in range(problems)], each)
        batches.append((torch.from_numpy(f), [group] * len(f), names))
    return firing(batches)


def test_firing_by_hand() -> None:
    f = torch.tensor([[1.0, 0], [3, 0], [0, 2], [5, 0]])
    found = firing([(f[:2], ["a", "a"], ["p", "q"]), (f[2:], ["b", "a"], ["p", "q"])])
    assert (found.groups, found.problems) == (("a", "b"), ("p", "q"))
    assert found.rows.tolist() == [[1, 2], [1, 0]]
    assert found.values("a").tolist() == [1, 0] and found.values("b").tolist() == [0, 1]
    assert found.values("a", "mean")[0] == 3 and math.isnan(found.values("a", "mean")[1])


def test_an_interval_of_a_change_is_the_clustered_one() -> None:
    """Different problems on the two sides: the variances of two clustered ratios add up, but for G/(G-1)."""
    rng = numpy_rng("clusters")
    f = torch.from_numpy(np.where(rng.random((120, 1)) < 0.4, rng.random((120, 1)), 0.0))
    group, problem = np.repeat(["b", "a"], 60), np.repeat(np.arange(20), 6)
    (change,) = changes(firing([(f, group, problem)]), "b", "a", "mean")
    active = (f[:, 0] > 0).double().numpy()
    sides = [
        clustered_ratio(f[rows, 0].numpy(), active[rows], problem[rows], name="m", unit="none")
        for rows in (slice(0, 60), slice(60, 120))
    ]
    from scipy.stats import t

    errors = [(side.hi - side.value) / t.isf(0.025, 9) * math.sqrt(9 / 10) for side in sides]
    assert change.estimate.value == pytest.approx(sides[1].value - sides[0].value)
    reach = math.sqrt(20 / 19) * math.hypot(*errors) * t.isf(0.025, 19)
    assert change.estimate.hi - change.estimate.value == pytest.approx(reach)
    assert change.estimate.n_problems == 20


def test_pairing_by_problem_is_used() -> None:
    """One row a problem and side: the interval is that of the mean of the differences."""
    rng = numpy_rng("paired")
    before = (rng.random(40) < 0.5).astype(float)
    after = np.where(rng.random(40) < 0.2, 1 - before, before)
    f, names = torch.from_numpy(np.concatenate([before, after]))[:, None], np.tile(np.arange(40), 2)
    (change,) = changes(firing([(f, ["b"] * 40 + ["a"] * 40, names)]), "b", "a")
    paired = clustered_mean(after - before, np.arange(40), name="d", null=0.0, bounds=(-1, 1))
    for each in ("value", "lo", "hi", "p"):
        assert getattr(change.estimate, each) == pytest.approx(getattr(paired, each))


def test_where_all_problems_agree_one_more_could_still_differ() -> None:
    f, names = torch.tensor([0.0] * 10 + [1.0] * 10)[:, None], list(range(10)) * 2
    (change,) = changes(firing([(f, ["b"] * 10 + ["a"] * 10, names)]), "b", "a")
    alike = clustered_mean(np.ones(10), np.arange(10), name="d", null=0.0, bounds=(-1, 1))
    assert (change.estimate.lo, change.estimate.hi) == (alike.lo, 1) and 0 < alike.lo < 0.9


def test_a_planted_change_of_firing_is_found_and_nothing_else() -> None:
    found = labelled(lift=0.3)
    rate, mean = (changes(found, "code/before", "code/after", kind) for kind in ("rate", "mean"))
    assert [each.latent for each in rate if each.holm < 0.05] == [0]
    assert rate[0].estimate.lo < 0.3 < rate[0].estimate.hi
    assert [each.latent for each in mean if each.holm < 0.05][-1] == 1
    assert mean[1].estimate.value == pytest.approx(1, abs=0.15)
    assert min(each.holm for each in changes(found, "prose/before", "prose/after")) > 0.05
    assert [each.holm for each in rate] == holm([each.estimate.p for each in rate]).tolist()


def test_firing_is_flat_on_null_pairs() -> None:
    hits = [
        min(each.holm for each in changes(labelled(seed), "code/before", "code/after")) < 0.05 for seed in range(40)
    ]
    assert sum(hits) <= 6  # 2 expected
    same = labelled(1)
    assert {each.holm for each in changes(same, "code/after", "code/after")} == {1.0}


def test_what_has_no_mean_has_no_test() -> None:
    found = firing([(torch.tensor([[1.0, 0], [0, 0], [2, 0]]), ["b", "b", "a"], ["p", "q", "p"])])
    assert [each.latent for each in changes(found, "b", "a", "mean")] == [0]
    one = firing([(torch.tensor([[1.0], [0]]), ["b", "a"], ["p", "p"])])
    assert math.isnan(changes(one, "b", "a")[0].holm)  # one problem says nothing of others


def test_bad_firing() -> None:
    f = torch.ones(2, 3)
    with pytest.raises(BadInput, match="no rows"):
        firing([])
    with pytest.raises(BadInput, match="columns of"):
        firing([(f, ["a"], ["p", "q"])])
    with pytest.raises(BadInput, match="not finite"):
        firing([(f * torch.nan, ["a", "a"], ["p", "q"])])
    with pytest.raises(BadInput, match=r"batches of \[3, 4\]"):
        firing([(f, ["a", "a"], ["p", "q"]), (torch.ones(1, 4), ["b"], ["p"])])
    with pytest.raises(BadInput, match="no rate of group 'c'"):
        changes(firing([(f, ["a", "b"], ["p", "q"])]), "a", "c")


def test_directions_are_in_units_of_the_model() -> None:
    W_dec = written(features(3, 4, "units"), [[1] * 3, [1] * 3])
    assert directions(dictionary(W_dec, scale=[1, 2]), "after").equal(W_dec[:, 1] / 2)
    with pytest.raises(BadInput, match="another length in every row"):
        directions(dictionary(W_dec, normalise="layer_norm"), "after")
    with pytest.raises(BadInput, match="no model is called 'later'"):
        directions(dictionary(W_dec), "later")
