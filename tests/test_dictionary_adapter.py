"""Adapters beside MLPs: at first the base itself, then whatever was planted, nothing in nulls; autograd's gradient."""

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from outside_checkpoints import tiny
from torch import Tensor, nn
from transformers import PreTrainedModel

from probe.dictionaries.activation import Activation, BatchTopK, JumpReLU, ReLU, TopK
from probe.dictionaries.causes import adapter_forward
from probe.dictionaries.causes.adapter import (
    WEIGHTS,
    Adapter,
    adapter_edits,
    as_dictionary,
    new_adapters,
    of_dictionary,
)
from probe.dictionaries.causes.adapter_forward import Block, adapted, blocks, kl_to, mlp_change
from probe.dictionaries.causes.adapter_nulls import as_large, bias_only, random_change, untrained
from probe.dictionaries.causes.adapter_training import AdapterOptions, Fit, calibrated, train_adapters
from probe.dictionaries.causes.recovered_change import nats_from, recovered_change
from probe.dictionaries.exchange.folder import Kept, read_dictionary, write_dictionary
from probe.errors import BadInput
from probe.models.hooks.anatomy import anatomy, final_hidden
from probe.models.hooks.backends.plain import Hooks
from probe.models.hooks.edits import Beside, Edit
from probe.models.hooks.forward_hooks import run
from probe.models.hooks.sites import Site, site
from probe.rng import torch_rng

VOCAB, D = 61, 32
KINDS = ("llama", "qwen2", "olmo2", "gemma3")  # before the MLP a norm, and behind it, and both
IDS = torch.randint(2, VOCAB, (2, 9), generator=torch_rng("adapter ids"))
QUICK = AdapterOptions(steps=4, lr=0.01, batch=4)


class WithLatents(nn.Module):
    """An MLP with latents beside it, as a module of its own: what the hooks are held to."""

    def __init__(self, mlp: nn.Module, W_enc: Tensor, b_enc: Tensor, W_dec: Tensor, b_dec: Tensor) -> None:
        super().__init__()
        self.inner, self.weights = mlp, (W_enc, b_enc, W_dec, b_dec)

    def forward(self, z: Tensor) -> Tensor:
        W_enc, b_enc, W_dec, b_dec = self.weights
        return self.inner(z) + (z @ W_enc + b_enc).relu() @ W_dec + b_dec


WithLatents.__name__ = "WithLatentsMLP"


def with_latents(model: PreTrainedModel, adapters: tuple[Adapter, ...]) -> PreTrainedModel:
    wrapped = copy.deepcopy(model)
    for each in adapters:
        block = wrapped.model.layers[each.site.layer]
        block.mlp = WithLatents(block.mlp, *(getattr(each, name) for name in WEIGHTS))
    return wrapped


def drawn(layers: tuple[int, ...], n: int = 12, activation: Activation | None = None, d: int = D) -> list[Adapter]:
    """Adapters that write something."""
    made = []
    for layer in layers:
        rng = torch_rng("drawn adapter", layer)
        W_enc, W_dec = torch.randn(d, n, generator=rng) / d**0.5, torch.randn(n, d, generator=rng)
        b_enc, b_dec = torch.randn(n, generator=rng), torch.randn(d, generator=rng)
        made.append(Adapter(Site("mlp", layer), activation or ReLU(), W_enc, b_enc, W_dec, b_dec))
    return made


def texts(n: int, *address: str | int, length: int = 16) -> tuple[list[list[int]], list[list[int]]]:
    ids = torch.randint(2, VOCAB, (n, length), generator=torch_rng("adapter texts", *address)).tolist()
    return [row[:4] for row in ids], [row[4:] for row in ids]


def ragged(n: int = 5) -> tuple[list[list[int]], list[list[int]]]:
    prompts, completions = texts(n, "ragged")
    return [row[: 1 + i % 3] for i, row in enumerate(prompts)], [row[: 3 + 2 * i] for i, row in enumerate(completions)]


@pytest.fixture(scope="module")
def llama() -> PreTrainedModel:
    return tiny("llama", VOCAB, eos=1)


@pytest.fixture(scope="module")
def truth(llama: PreTrainedModel) -> Adapter:
    """Four latents beside the last MLP, each active at one token in ten."""
    rng, here = torch_rng("planted latents"), site("mlp.1")
    W_enc, W_dec = (torch.linalg.qr(torch.randn(D, 4, generator=rng)).Q for _ in range(2))
    (block,) = blocks(llama, *texts(64, "thresholds"), 64)
    ((z, _),) = mlp_change(llama, llama, [here], block)
    return Adapter(here, ReLU(), W_enc, -(z @ W_enc).quantile(0.9, dim=0), 8 * W_dec.T, torch.zeros(D))


@pytest.fixture(scope="module")
def planted(llama: PreTrainedModel, truth: Adapter) -> PreTrainedModel:
    return with_latents(llama, (truth,))


@pytest.fixture(scope="module")
def fit(llama: PreTrainedModel, planted: PreTrainedModel) -> Fit:
    start = new_adapters([1], D, 16, BatchTopK(1), "start of the fit")
    return train_adapters(llama, planted, *texts(256, "train"), start, AdapterOptions(220, 0.02), "fit")


HELD_OUT, PROBLEMS = texts(48, "held out"), [f"p{i // 2}" for i in range(48)]


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_new_adapter_is_the_base_to_the_bit(kind: str, dtype: torch.dtype) -> None:
    model = tiny(kind, VOCAB).to(dtype)
    start = new_adapters([0, 1], D, 12, TopK(3), "new")
    assert torch.equal(run(model, IDS, edits=adapter_edits(start)).logits, run(model, IDS).logits)
    assert (start[0].W_enc.norm(dim=0) - 1).abs().max() < 1e-6 and not torch.equal(start[0].W_enc, start[1].W_enc)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_the_edit_is_the_module_that_it_stands_for(kind: str) -> None:
    model, adapters = tiny(kind, VOCAB), tuple(drawn((0, 1)))
    naive = with_latents(model, adapters)(input_ids=IDS, use_cache=False).logits
    ours = run(model, IDS, edits=adapter_edits(adapters)).logits
    torch.testing.assert_close(ours, naive, atol=1e-5, rtol=1e-5)
    assert (ours - run(model, IDS).logits).abs().max() > 0.05


def test_what_an_adapter_adds_by_hand() -> None:
    parts = torch.tensor([[1.0, -1], [0, 2]]), torch.tensor([0.0, -1]), torch.tensor([[10.0, 0], [0, 1]]), torch.ones(2)
    z = torch.tensor([[[3.0, 1], [1, 3]]])  # pre: [3 -2], [1 4]
    assert Adapter(site("mlp.0"), ReLU(), *parts)(z).tolist() == [[[31, 1], [11, 5]]]
    assert Adapter(site("mlp.0"), TopK(1), *parts)(z).tolist() == [[[31, 1], [1, 5]]]
    above = JumpReLU(torch.tensor([2.0, 5]))
    assert Adapter(site("mlp.0"), above, *parts)(z).tolist() == [[[31, 1], [1, 1]]]


def naive_kl(base: PreTrainedModel, after: PreTrainedModel) -> Tensor:
    """Text by text, without padding."""
    kls = []
    for prompt, completion in zip(*ragged(), strict=True):
        ids = torch.tensor([prompt + completion])
        q, p = (model(input_ids=ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1) for model in (base, after))
        kls.append((p.exp() * (p - q)).sum(-1))
    return torch.cat(kls)


@pytest.mark.parametrize("chunk", [1 << 24, 7 * VOCAB])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_a_naive_module(kind: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter_forward, "CHUNK", chunk)
    base, after = tiny(kind, VOCAB), tiny(kind, VOCAB, seed=1)
    adapters = tuple(drawn((0, 1)))
    leaves = [getattr(each, name).requires_grad_() for each in adapters for name in WEIGHTS]
    (block,) = blocks(base, *ragged(), 5)
    target = final_hidden(after, block.ids)[block.predicts].detach()
    ours = kl_to(anatomy(after), target, anatomy(base), adapted(base, adapters, block).hidden)
    wrapped = with_latents(base, ())
    for each in adapters:
        place = wrapped.model.layers[each.site.layer]
        place.mlp = WithLatents(place.mlp, *(getattr(each, name) for name in WEIGHTS))
    naive = naive_kl(wrapped, after)
    torch.testing.assert_close(ours, naive, atol=1e-5, rtol=1e-4)
    both = zip(torch.autograd.grad(ours.mean(), leaves), torch.autograd.grad(naive.mean(), leaves), strict=True)
    for mine, its in both:
        torch.testing.assert_close(mine, its, atol=2e-5, rtol=1e-3)
        assert its.abs().max() > 1e-4


@torch.no_grad()
def test_padding_is_no_token_that_a_batch_shares_its_latents_with(llama: PreTrainedModel) -> None:
    adapters = drawn((1,), activation=BatchTopK(2))
    (block,) = blocks(llama, *ragged(), 5)
    wider = Block(*(nn.functional.pad(each, (0, 9)) for each in (block.ids, block.real, block.predicts)))
    narrow, wide = (adapted(llama, adapters, each) for each in (block, wider))
    assert narrow.latents[0].shape == (sum(len(p) + len(c) for p, c in zip(*ragged(), strict=True)), 12)
    torch.testing.assert_close(narrow.latents[0], wide.latents[0])
    torch.testing.assert_close(narrow.hidden, wide.hidden)
    assert int((wide.latents[0] > 0).sum()) == 2 * len(wide.latents[0])


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_cached_generation_is_the_uncached(kind: str) -> None:
    model, edits = tiny(kind, VOCAB), adapter_edits(drawn((0, 1), activation=TopK(3)))
    prompts = [[3, 4, 5], [6, 7, 8, 9, 10, 11]]
    how = {"n_samples": 1, "max_new": 6, "stop": [], "pad": 0, "uniforms": None}
    cached = Hooks(model).generate(prompts, edits=edits, **how)
    for row, prompt in enumerate(prompts):
        text = torch.tensor([prompt + cached.ids[row].tolist()])
        logp = run(model, text, edits=edits).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        assert torch.equal(logp.argmax(-1), cached.ids[row])
        torch.testing.assert_close(logp.amax(-1), cached.logprob[row], atol=1e-4, rtol=1e-4)
    assert not torch.equal(cached.ids, Hooks(model).generate(prompts, **how).ids)


def test_a_planted_change_is_recovered_with_its_directions(
    llama: PreTrainedModel, planted: PreTrainedModel, truth: Adapter, fit: Fit
) -> None:
    assert not fit.failed and 0 < fit.l0.min() <= fit.l0.max() <= 1
    adapters = calibrated(llama, fit.adapters, *texts(64, "calibration"))
    found = recovered_change(llama, planted, adapters, *HELD_OUT, PROBLEMS)
    assert found.share.value > 0.9 and found.share.lo > 0.85 and not found.why
    assert found.share.n_problems == 24 and found.share.n == 48 * 12 and 0.3 < found.l0[0] < 1.4
    cosine = nn.functional.cosine_similarity(truth.W_dec[:, None], adapters[0].W_dec[None], dim=-1)
    assert cosine.amax(1).min() > 0.9


def test_nulls_recover_nothing_of_the_plant(llama: PreTrainedModel, planted: PreTrainedModel, fit: Fit) -> None:
    adapters = calibrated(llama, fit.adapters, *texts(64, "calibration"))
    bias = recovered_change(llama, planted, bias_only(adapters), *HELD_OUT, PROBLEMS)
    assert abs(bias.share.value) < 0.1
    blind = calibrated(llama, untrained(fit.adapters, "null"), *texts(64, "calibration"))
    nothing = recovered_change(llama, planted, blind, *HELD_OUT, PROBLEMS)
    assert nothing.share.hi < 0 and 0.7 < nothing.l0[0] < 1.4
    before, after = fit.adapters[0], untrained(fit.adapters, "null")[0]
    torch.testing.assert_close(after.W_dec.norm(dim=1), before.W_dec.norm(dim=1))
    assert nn.functional.cosine_similarity(after.W_dec, before.W_dec, dim=1).abs().mean() < 0.3


def test_the_truth_recovers_all_and_its_l0_is_counted(
    llama: PreTrainedModel, planted: PreTrainedModel, truth: Adapter
) -> None:
    found = recovered_change(llama, planted, (truth,), *HELD_OUT, PROBLEMS)
    assert found.share.value == pytest.approx(1, abs=1e-4) and found.left.value < 1e-6
    (block,) = blocks(llama, *HELD_OUT, 48)
    with torch.no_grad():
        f = adapted(llama, (truth,), block).latents[0]
    assert found.l0[0] == pytest.approx(int((f > 0).sum()) / (48 * 16)) and found.silent == (0.0,)


def test_the_share_by_hand(llama: PreTrainedModel) -> None:
    after, adapters = tiny("llama", VOCAB, seed=1), drawn((0,))
    prompts, completions = ragged()
    found = recovered_change(llama, after, adapters, prompts, completions, list("aabbc"))
    with torch.no_grad():
        change, left = naive_kl(llama, after), naive_kl(with_latents(llama, tuple(adapters)), after)
    assert found.share.value == pytest.approx(1 - float(left.sum() / change.sum()), abs=1e-4)
    assert found.change.value == pytest.approx(float(change.mean()), rel=1e-4) and found.share.n_problems == 3


def test_without_a_change_there_is_no_share(llama: PreTrainedModel) -> None:
    for same in (llama, copy.deepcopy(llama)):
        found = recovered_change(llama, same, drawn((0,)), *HELD_OUT, PROBLEMS)
        assert found.why.startswith("no change") and found.change.value == 0
        assert math.isnan(found.share.value) and math.isnan(found.share.lo)


def test_where_no_latent_is_active_the_bias_is_named(llama: PreTrainedModel, planted: PreTrainedModel) -> None:
    (dead,) = drawn((1,))
    dead = replace(dead, b_enc=torch.full_like(dead.b_enc, -1e3))
    found = recovered_change(llama, planted, (dead,), *HELD_OUT, PROBLEMS)
    assert "bias" in found.why and found.l0 == (0.0,) and found.silent == (1.0,) and found.share.value < 0


def test_a_training_that_breaks_is_told(llama: PreTrainedModel, planted: PreTrainedModel) -> None:
    start = [replace(each, W_dec=torch.full((12, D), 3e38)) for each in new_adapters([0], D, 12, TopK(12), "broken")]
    broken = train_adapters(llama, planted, *texts(8, "few"), start, QUICK, "broken")
    assert broken.failed.startswith("at step 0 the loss is nan") and broken.l0.shape == (0, 1)
    assert all(getattr(each, name).isfinite().all() for each in broken.adapters for name in WEIGHTS)
    found = recovered_change(llama, planted, broken, *HELD_OUT, PROBLEMS)
    assert "training failed" in found.why and math.isnan(found.share.value) and found.change.value > 0


def test_training_is_addressed_and_touches_neither_model(llama: PreTrainedModel, planted: PreTrainedModel) -> None:
    start = new_adapters([0, 1], D, 12, TopK(2), "bits")
    kept = [{name: weight.clone() for name, weight in m.state_dict().items()} for m in (llama, planted)]
    one, two, other = (
        train_adapters(llama, planted, *texts(8, "few"), start, QUICK, "order", n) for n in ("a", "a", "b")
    )
    for mine, its, third in zip(one.adapters, two.adapters, other.adapters, strict=True):
        assert torch.equal(mine.W_dec, its.W_dec) and not torch.equal(mine.W_dec, third.W_dec)
    assert np.array_equal(one.distance, two.distance) and one.l0.shape == (4, 2)
    assert all(not each.W_dec.any() and not each.W_dec.requires_grad for each in start)
    for model, weights in zip((llama, planted), kept, strict=True):
        assert all(torch.equal(weight, weights[name]) for name, weight in model.state_dict().items())
        assert all(weight.grad is None for weight in model.parameters())
        assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def test_training_goes_on_from_a_folder_to_the_same_bits(
    llama: PreTrainedModel, planted: PreTrainedModel, tmp_path: Path
) -> None:
    start, few, options = new_adapters([0, 1], D, 12, TopK(2), "kept"), texts(8, "few"), replace(QUICK, steps=5)
    whole, heard = train_adapters(llama, planted, *few, start, options, "kept"), list[int]()

    class Killed(Exception):
        pass

    def stop(done: int) -> None:
        raise Killed

    how: dict[str, Any] = {"folder": tmp_path, "every": 3}
    with pytest.raises(Killed):
        train_adapters(llama, planted, *few, start, options, "kept", **how, on_step=stop)
    again = train_adapters(llama, planted, *few, start, options, "kept", **how, on_step=heard.append)
    assert heard == [5]
    assert np.array_equal(whole.distance, again.distance) and np.array_equal(whole.l0, again.l0)
    for one, other in zip(whole.adapters, again.adapters, strict=True):
        assert all(torch.equal(getattr(one, name), getattr(other, name)) for name in WEIGHTS)
    with pytest.raises(BadInput, match="another recipe's"):
        train_adapters(llama, planted, *few, start, replace(options, lr=0.02), "kept", **how)


def test_a_frozen_decoder_stays_and_its_encoder_learns(
    llama: PreTrainedModel, planted: PreTrainedModel, fit: Fit
) -> None:
    start = untrained(fit.adapters, "frozen")
    found = train_adapters(llama, planted, *texts(8, "few"), start, replace(QUICK, frozen=("W_dec",)), "frozen")
    assert torch.equal(found.adapters[0].W_dec, start[0].W_dec)
    assert not torch.equal(found.adapters[0].W_enc, start[0].W_enc)


def test_weight_on_sparsity_is_the_length_of_what_is_written(llama: PreTrainedModel, planted: PreTrainedModel) -> None:
    """With all of the weight on it, a step makes latents smaller; at a decoder of 0 it weighs nothing."""
    loud = train_adapters(llama, planted, *texts(8, "few"), drawn((1,)), replace(QUICK, l1=100.0), "l1").adapters[0]
    assert (loud.W_dec.norm(dim=1) < drawn((1,))[0].W_dec.norm(dim=1)).all()
    start = new_adapters([1], D, 12, ReLU(), "l1")
    one, other = (
        train_adapters(llama, planted, *texts(8, "few"), start, AdapterOptions(1, 0.01, l1=l1), "l1") for l1 in (0, 9.0)
    )
    assert torch.equal(one.adapters[0].W_dec.sign(), other.adapters[0].W_dec.sign())


def test_regression_on_the_mlps_change_finds_the_plant_too(
    llama: PreTrainedModel, planted: PreTrainedModel, truth: Adapter
) -> None:
    options = AdapterOptions(120, 0.01, "activations")
    start = new_adapters([1], D, 16, BatchTopK(1), "start of the regression")
    found = train_adapters(llama, planted, *texts(128, "train"), start, options, "regression")
    assert found.distance[0] == pytest.approx(1, abs=1e-5) and found.distance[-10:].mean() < 0.35
    cosine = nn.functional.cosine_similarity(truth.W_dec[:, None], found.adapters[0].W_dec[None], dim=-1)
    assert cosine.amax(1).min() > 0.95


def test_a_random_change_is_as_large_in_every_weight(llama: PreTrainedModel) -> None:
    after = tiny("llama", VOCAB, seed=1)
    third = random_change(llama, after, "third")
    own, its, drawn_ = (dict(model.named_parameters()) for model in (llama, after, third))
    for name, weight in own.items():
        torch.testing.assert_close((drawn_[name] - weight).norm(), (its[name] - weight).norm(), rtol=1e-4, atol=1e-5)
        assert not torch.equal(drawn_[name], its[name])


def test_a_random_change_is_made_as_large_in_nats_along_its_line(llama: PreTrainedModel) -> None:
    third = random_change(llama, tiny("llama", VOCAB, seed=1), "third")
    start = {name: weight.clone() for name, weight in third.named_parameters()}

    def nats(model: PreTrainedModel) -> float:
        return float(nats_from(model, llama, (), *texts(8, "few")).mean())

    wanted = nats(third) / 50
    assert as_large(llama, third, nats, wanted) is third
    assert nats(third) == pytest.approx(wanted, rel=0.05)
    own = dict(llama.named_parameters())
    for name, weight in third.named_parameters():
        moved, whole = (weight - own[name]).flatten(), (start[name] - own[name]).flatten()
        assert 0 < moved.norm() < whole.norm()
        assert nn.functional.cosine_similarity(moved, whole, dim=0) > 0.999
    same = copy.deepcopy(llama)
    assert as_large(llama, same, nats, 1.0) is same and nats(same) == 0  # nothing to make longer


def test_an_adapter_lies_in_a_folder_as_a_dictionary(tmp_path: Path, fit: Fit) -> None:
    (one,) = drawn((1,), activation=JumpReLU(torch.rand(12, generator=torch_rng("thresholds"))))
    write_dictionary(Kept(as_dictionary(one, "base")), tmp_path)
    back = of_dictionary(read_dictionary(tmp_path).dictionary)
    z = torch.randn(7, D, generator=torch_rng("z"))
    assert torch.equal(back(z), one(z)) and back.site == one.site
    torch.testing.assert_close(as_dictionary(one, "base").reconstruct(z[:, None])[:, 0], one(z))
    with pytest.raises(BadInput, match="no adapter"):
        of_dictionary(replace(as_dictionary(one, "base"), centred=True))


def test_bad_adapters(llama: PreTrainedModel) -> None:
    (good,) = drawn((0,))
    for changes, message in (
        ({"site": site("resid.0")}, "an adapter at resid.0"),
        ({"W_dec": good.W_dec[:5]}, "W_dec has shape"),
        ({"b_dec": torch.full((D,), torch.nan)}, "b_dec is not finite"),
        ({"activation": TopK(13)}, "for 12 latents"),
        ({"activation": JumpReLU(torch.zeros(3))}, "for 12 latents"),
    ):
        with pytest.raises(BadInput, match=message):
            replace(good, **changes)
    with pytest.raises(BadInput, match="two adapters at one site"):
        adapter_edits([good, good])
    with pytest.raises(BadInput, match="BatchTopK"):
        adapter_edits(drawn((0,), activation=BatchTopK(2)))
    with pytest.raises(BadInput, match=r"width 16 where the MLP reads 32"):
        run(llama, IDS, edits=adapter_edits(drawn((0,), d=16)))
    with pytest.raises(BadInput, match=r"this model has no mlp\.7"):
        run(llama, IDS, edits=adapter_edits(drawn((7,))))


def test_bad_edits_beside_a_module(llama: PreTrainedModel) -> None:
    with pytest.raises(BadInput, match="beside no module"):
        Edit(site("resid.1"), Beside(lambda z: z))
    with pytest.raises(BadInput, match="does not tell what a module read"):
        Beside(lambda z: z).reading(None)
    with pytest.raises(BadInput, match="put out"):
        run(llama, IDS, edits=[Edit(site("mlp.1"), Beside(lambda z: z[..., :1]))])


def test_a_branch_beside_attention_reads_what_attention_reads(llama: PreTrainedModel) -> None:
    seen: list[Tensor] = []
    edit = Edit(site("attn.0"), Beside(lambda z: seen.append(z) or torch.zeros_like(z)))  # type: ignore[func-returns-value]
    with torch.no_grad():
        run(llama, IDS, edits=[edit])
        wanted = llama.model.layers[0].input_layernorm(llama.get_input_embeddings()(IDS))
    torch.testing.assert_close(seen[0], wanted)


def test_bad_training(llama: PreTrainedModel, planted: PreTrainedModel) -> None:
    start, few = new_adapters([1], D, 12, TopK(2), "bad"), texts(8, "few")
    with pytest.raises(BadInput, match=r"vocabularies of \[61, 67\] words"):
        train_adapters(llama, tiny("llama", 67), *few, start, QUICK, "bad")
    with pytest.raises(BadInput, match="vocabularies"):
        recovered_change(llama, tiny("llama", 67), start, *HELD_OUT, PROBLEMS)
    with pytest.raises(BadInput, match="token 99"):
        train_adapters(llama, planted, [[99]], [[5]], start, QUICK, "bad")
    with pytest.raises(BadInput, match="no adapter, or two"):
        train_adapters(llama, planted, *few, (), QUICK, "bad")
    with pytest.raises(BadInput, match="an empty one"):
        train_adapters(llama, planted, [[4]], [[]], start, QUICK, "bad")
    with pytest.raises(BadInput, match=r"this model has no mlp\.5"):
        train_adapters(llama, planted, *few, new_adapters([5], D, 12, TopK(2), "bad"), QUICK, "bad")
    with pytest.raises(BadInput, match="width 16"):
        train_adapters(llama, planted, *few, new_adapters([1], 16, 12, TopK(2), "bad"), QUICK, "bad")
    for options in ({"steps": 0}, {"lr": 0.0}, {"frozen": WEIGHTS}, {"objective": "loss"}, {"frozen": ("W",)}):
        with pytest.raises(BadInput):
            replace(QUICK, **options)
