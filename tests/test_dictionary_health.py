"""FVU, L0 and dead share by hand; cross-entropy recovered between two ends that are known; thresholds; planted rows."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from probe.data import Estimate
from probe.dictionaries.activation import JumpReLU, ReLU, TopK
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.fitting.calibrate import calibrated, rescaled, threshold
from probe.dictionaries.fitting.health import Recovered, health, recovered, told
from probe.dictionaries.fitting.planted import largest_cosines, matched, mmcs, planted
from probe.errors import BadInput
from probe.experiments.dictionaries.estimates import health_of
from probe.models.hooks.forward_hooks import read
from probe.models.hooks.sites import site
from probe.rng import torch_rng

if TYPE_CHECKING:
    from probe.models.loading.load import Loaded

PLACE = site("resid.1")


def mirror(d: int, models: tuple[str, ...] = ("m",)) -> Dictionary:
    """x^ = x: a latent for each side of each axis."""
    w = d * len(models)
    both = torch.cat([torch.eye(w), -torch.eye(w)])
    W_dec = both.view(2 * w, len(models), d)
    zeros, ones = torch.zeros(len(models), d), torch.ones(len(models))
    return Dictionary(
        PLACE, models, ReLU(), W_dec.permute(1, 2, 0).contiguous(), torch.zeros(2 * w), W_dec, zeros, ones
    )


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch_rng("test", "health", *shape))


def written(model: PreTrainedModel) -> Tensor:
    """What the model itself would write: all that it is sure of."""
    ids = torch.randint(3, 20, (4, 2), generator=torch_rng("test", "ids"))
    for _ in range(10):
        ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], dim=1)
    return ids


def test_health_by_hand() -> None:
    """Of x = (1, 0), (0, 2), (-1, 0), (0, -2) the largest latent of each row says all; (1, 1) is said by half."""
    one = replace(mirror(2), activation=TopK(1))
    whole = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.0, -2.0]])[:, None]
    found = health(one, [whole[:2], whole[2:]])
    assert (found.rows, found.fvu, found.l0, found.dead) == (4, (0.0,), 1.0, 0.0)
    half = torch.tensor([[1.0, 0.5], [-1.0, -0.5]])[:, None]  # .25 a row is missed of 1.25 about the mean
    found = health(one, [half])
    assert found.fvu == pytest.approx((0.2,))
    assert found.dead == 0.5


def test_health_of_each_model_is_that_of_its_rows() -> None:
    """What the dictionary cannot say of one model raises that model's FVU alone; batches do not matter."""
    pair = mirror(3, ("before", "after"))
    pair = replace(pair, W_dec=pair.W_dec * torch.tensor([1.0, 0.0])[:, None])
    x = drawn(50, 2, 3)
    found = health(pair, x.split(7))
    assert found.fvu[0] == pytest.approx(0, abs=1e-12)
    centre = x[:, 1].mean(0)
    assert found.fvu[1] == pytest.approx(float(x[:, 1].square().sum() / (x[:, 1] - centre).square().sum()), rel=1e-5)
    assert found.l0 == health(pair, [x]).l0 == 6


def test_health_of_nothing() -> None:
    for ask in (health, told):
        with pytest.raises(BadInput, match="no rows"):
            ask(mirror(2), [])


def test_rows_tell_what_health_says() -> None:
    pair = mirror(3, ("before", "after"))
    pair = replace(pair, W_dec=pair.W_dec * torch.tensor([1.0, 0.4])[:, None], b_enc=torch.full((12,), -0.5))
    x = drawn(50, 2, 3)
    whole, rows = health(pair, [x]), told(pair, x.split(7))
    assert rows.missed.sum(0) / rows.spread.sum(0) == pytest.approx(whole.fvu)
    assert (rows.active.mean(), rows.dead) == pytest.approx((whole.l0, whole.dead))
    missed = (x[4] - pair.reconstruct(x[4:5])[0]).double().square().sum(-1)
    assert rows.missed[4] == pytest.approx(missed.numpy(), rel=1e-5)
    assert rows.active[4] == float((pair.encode(x[4:5]) > 0).sum())


def test_rows_of_one_problem_are_no_more_than_one() -> None:
    """Every row told thrice within its problem: the same intervals, where rows by themselves would give narrower ones.

    Each side's is over its own problems; L0 has the wider one.
    """
    pair = mirror(3, ("before", "after"))
    pair = replace(pair, W_dec=pair.W_dec * torch.tensor([0.9, 0.4])[:, None], b_enc=torch.full((12,), -0.5))
    x, names = drawn(60, 2, 3), np.array([f"p{i % 12}" for i in range(60)])

    def asked(x: Tensor, *problems: np.ndarray) -> list[Estimate]:
        return [each for each in health_of("rl", pair, [x], problems) if each.name != "dictionary_dead"]

    once, thrice = asked(x, names, names), asked(x.repeat(3, 1, 1), *[np.tile(names, 3)] * 2)
    assert [each.params.get("side") for each in once] == ["before", "after", None]
    for one, three in zip(once, thrice, strict=True):
        assert (three.value, three.lo, three.hi) == pytest.approx((one.value, one.lo, one.hi))
        assert (one.n, three.n, one.n_problems, three.n_problems) == (60, 180, 12, 12)
    by_row = asked(x.repeat(3, 1, 1), *[np.arange(180).astype(str)] * 2)
    assert by_row[1].hi - by_row[1].lo < 0.8 * (once[1].hi - once[1].lo)
    few = np.array([f"q{i % 3}" for i in range(60)])
    apart = asked(x, names, few)
    assert [each.n_problems for each in apart[:2]] == [12, 3]
    one, other, wider = (each[2].hi - each[2].lo for each in (once, asked(x, few, few), apart))
    assert wider == max(one, other)


def test_cross_entropy_recovered_is_1_for_a_mirror_and_0_for_the_mean(organism: "Loaded") -> None:
    model = organism.model
    d = model.config.hidden_size
    ids = written(model)
    mask = torch.ones_like(ids)
    mask[0, :3] = 0  # padded on the left
    whole = recovered([model], mirror(d), ids, mask=mask)[0]
    assert (whole.model, whole.tokens) == ("m", 4 * 11 - 3)
    sums = np.array(whole.texts)
    assert sums.shape == (4, 3)
    assert sums.sum(0) / whole.tokens == pytest.approx([whole.clean, whole.said, whole.ablated])
    alone = recovered([model], mirror(d), ids[0:1, 3:])[0]  # the padded text by itself
    assert sums[0, :2] == pytest.approx([alone.clean * alone.tokens, alone.said * alone.tokens], rel=1e-4)
    assert whole.share == pytest.approx(1, abs=1e-4)
    assert whole.ablated > whole.clean
    stood = read(model, ids, [PLACE], mask=mask)[PLACE][mask.bool()]
    silent = replace(mirror(d), activation=JumpReLU(torch.full((2 * d,), 1e6)), b_dec=stood.mean(0)[None])
    assert recovered([model], silent, ids, mask=mask)[0].share == pytest.approx(0, abs=1e-4)
    nothing = replace(silent, b_dec=torch.zeros(1, d))
    assert recovered([model], nothing, ids, mask=mask, ablation="zero")[0].share == pytest.approx(0, abs=1e-4)
    lost = mirror(d).W_dec.clone()
    lost[: d // 2], lost[d : d + d // 2] = 0, 0  # half of the axes are not said
    assert recovered([model], replace(mirror(d), W_dec=lost), ids, mask=mask)[0].share < 0.9


def test_a_pair_is_read_from_both_models(organism: "Loaded") -> None:
    """The mirror of a pair gives each model its own states; one that swaps them gives each the other's."""
    import copy

    other = copy.deepcopy(organism.model)
    with torch.no_grad():
        for block in other.model.layers:
            block.mlp.down_proj.weight.mul_(0.5)
    d = other.config.hidden_size
    ids = written(organism.model)
    pair = mirror(d, ("before", "after"))
    both = recovered([organism.model, other], pair, ids)
    assert [each.model for each in both] == ["before", "after"]
    assert [each.share for each in both] == pytest.approx([1, 1], abs=1e-4)
    assert both[0].clean != both[1].clean
    swapped = recovered([organism.model, other], replace(pair, W_dec=pair.W_dec[:, [1, 0]]), ids)
    assert all(abs(each.said - each.clean) > 1e-4 for each in swapped)


def test_nothing_is_recovered_where_the_ablation_costs_nothing() -> None:
    assert math.isnan(Recovered("m", 9, clean=2.0, said=1.9, ablated=1.8).share)
    assert Recovered("m", 9, clean=1.0, said=1.5, ablated=3.0).share == 0.75


def test_what_recovered_refuses(organism: "Loaded") -> None:
    ids = torch.zeros(1, 4, dtype=torch.int64)
    with pytest.raises(BadInput, match="2 models for"):
        recovered([organism.model, organism.model], mirror(4), ids)
    with pytest.raises(BadInput, match="no ablation"):
        recovered([organism.model], mirror(4), ids, ablation="noise")  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [0.5, 1, 3, 7.25])
def test_the_threshold_lets_k_be_active_on_average(k: float) -> None:
    pre = drawn(40, 16)
    whole, parts = threshold([pre], k, 40), threshold(pre.split(9), k, 40)
    assert whole == parts
    assert int((pre > whole).sum()) == round(k * 40)


def test_the_threshold_where_too_few_are_positive() -> None:
    assert threshold([-drawn(5, 4).abs()], 2, 5) == 0
    with pytest.raises(BadInput, match="of 0 rows"):
        threshold([], 2, 0)


def test_calibrated_is_jumprelu_and_nothing_else_changes() -> None:
    x = drawn(200, 1, 5)
    one = mirror(5)
    found = calibrated(one, x.split(64), 2)
    assert float((found.encode(x) > 0).sum()) / 200 == pytest.approx(2)
    assert torch.equal(found.pre(x), one.pre(x))


def test_learned_thresholds_keep_their_ratios_when_they_are_scaled() -> None:
    x = drawn(200, 1, 5)
    one = replace(mirror(5), activation=JumpReLU(torch.linspace(0.1, 2.0, 10)))
    found = rescaled(one, x.split(64), 2)
    assert float((found.encode(x) > 0).sum()) / 200 == pytest.approx(2)
    ratio = found.activation.threshold / one.activation.threshold  # type: ignore[union-attr]
    torch.testing.assert_close(ratio, ratio[0].expand(10))
    assert not torch.isclose(ratio[0], torch.ones(()))
    for bad in (ReLU(), JumpReLU(torch.zeros(10))):
        with pytest.raises(BadInput, match="no thresholds above 0"):
            rescaled(replace(one, activation=bad), [x], 2)


def test_planted_rows_are_sums_of_k_directions() -> None:
    truth = planted(12, 6, 3, "rows", noise=0.0, spread=0.2)
    rows = truth.rows(5000)
    assert torch.equal(rows[:700], truth.rows(700))
    f = torch.linalg.lstsq(truth.directions[:, 0].T, rows[:, 0].T).solution
    torch.testing.assert_close(f.T @ truth.directions[:, 0], rows[:, 0], rtol=1e-4, atol=1e-4)
    other = planted(12, 6, 3, "others", noise=0.0)
    assert not torch.equal(other.directions, truth.directions)


def test_planted_directions_by_kind() -> None:
    truth = planted(40, 16, 3, "kinds", models=2, cosine=0.3, exclusive=(5, 7))
    size = truth.directions.norm(dim=2)
    assert not size[:5, 1].any()
    assert not size[5:12, 0].any()
    torch.testing.assert_close(size[:5, 0], torch.ones(5))
    before, after = truth.directions[12:].unbind(1)
    torch.testing.assert_close((before * after).sum(-1), torch.full((28,), 0.3))
    torch.testing.assert_close(size[12:], torch.ones(28, 2))


@pytest.mark.parametrize(
    "bad", [{"k": 12}, {"k": 0}, {"exclusive": (2, 2)}, {"exclusive": (8, 8), "models": 2}, {"exclusive": (-1, 0)}]
)
def test_truths_that_cannot_be(bad: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        planted(12, 6, **{"k": 3, **bad})  # type: ignore[arg-type]


def test_recovery_by_hand() -> None:
    truth = torch.eye(3)[:, None]
    found = torch.tensor([[0.0, -2.0, 0.0], [3.0, 4.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.0]])[:, None]
    cosine, latent = largest_cosines(found, truth)
    torch.testing.assert_close(cosine, torch.tensor([0.6, 1.0, 0.0]))
    assert latent[:2].tolist() == [1, 2]
    assert mmcs(found, truth) == pytest.approx(1.6 / 3)
    assert matched(found, truth) == pytest.approx(1 / 3)


def test_a_fit_of_the_same_seed_never_begins_at_the_truth() -> None:
    """The trap: truth and initial directions drawn from one seed look recovered before a step was taken."""
    from probe.dictionaries.fitting.options import Fit
    from probe.dictionaries.fitting.parameters import start

    truth = planted(32, 16, 3, 0)
    begun = start(Fit(32, 3, seed=(0,)), [truth.rows(100)])
    assert matched(begun.W_dec.detach()[:, None], truth.directions) == 0
