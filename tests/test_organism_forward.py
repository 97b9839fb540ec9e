"""The forward pass written out is Hugging Face's, gradients included; attention over the cache is the kernel's."""

import pytest
import torch
from test_organism_sampler import MODELS, PAD, PROMPTS, VOCAB, build
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel

from probe.models.sampling.kv_cache import attend, keep_rows, share_out
from probe.models.sampling.organism_forward import read, weights_of
from probe.models.sampling.organism_sampler import Samples
from probe.rl import policy as policies
from probe.rl.policy import FullPolicy
from probe.rng import torch_rng, uniforms

CLOSE = {"atol": 2e-5, "rtol": 1e-4}


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return build(request.param)


def gradients(model: PreTrainedModel, value: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    return {n: torch.zeros(()) if g is None else g for n, g in zip(names, found, strict=True)}


def assert_gradients_agree(model: PreTrainedModel, ours: Tensor, theirs: Tensor) -> None:
    got, wanted = gradients(model, ours), gradients(model, theirs)
    for name, gradient in wanted.items():
        torch.testing.assert_close(
            got[name], gradient, atol=1e-5 * float(1 + gradient.abs().max()), rtol=1e-4, msg=name
        )


def test_states_and_gradients_are_those_of_the_module(model: PreTrainedModel) -> None:
    """At some positions of padded sequences; the pad token stands inside one too, where it gets no gradient."""
    rng = torch_rng("forward test")
    ids = torch.randint(1, VOCAB, (3, 9), generator=rng)
    ids[1, 6:], ids[2, 3] = PAD, PAD
    wanted = torch.zeros(3, 9, dtype=torch.bool)
    wanted[0, [2, 8]], wanted[1, :6], wanted[2, 3:5] = True, True, True
    ours, _ = read(weights_of(model, 9), ids, wanted)
    theirs = model.model(input_ids=ids, use_cache=False).last_hidden_state[wanted]
    torch.testing.assert_close(ours, theirs, **CLOSE)
    weight = torch.randn(theirs.shape, generator=rng)
    assert_gradients_agree(model, (ours * weight).sum(), (theirs * weight).sum())


def sampled(policy: FullPolicy) -> Samples:
    draws = torch.stack([torch.from_numpy(uniforms(8, "forward test", row)) for row in range(12)])
    return policy.sample(PROMPTS, draws, n_samples=3, temperature=1.0)


def test_logits_in_parts_are_those_of_the_module(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "IN_CACHE", 24)
    policy = FullPolicy(model)
    samples, rows = sampled(policy), torch.tensor([7, 0, 3, 4, 11])
    ours, theirs = policy.logits(PROMPTS, samples, rows), []
    for row in rows.tolist():
        prompt, n = PROMPTS[row // 3], int(samples.lengths[row])
        ids = torch.tensor([prompt + samples.ids[row, :n].tolist()])
        theirs.append(policy.model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1])
    torch.testing.assert_close(ours, torch.cat(theirs), **CLOSE)
    assert_gradients_agree(policy.model, ours.logsumexp(-1).sum(), torch.cat(theirs).logsumexp(-1).sum())


@pytest.mark.parametrize(("heads", "kv_heads"), [(3, 3), (4, 2), (4, 1)])
def test_attention_over_the_cache_is_the_fused_kernels(heads: int, kv_heads: int) -> None:
    """In both layouts, after rows were dropped, with and without a mask."""
    rng = torch_rng("cache test")
    part = torch.randn(5, kv_heads, 6, 8, generator=rng)
    grown = share_out(part, 2, 3, heads != kv_heads)
    assert grown.shape == (9, 8, kv_heads, 10)
    assert torch.equal(grown[:6], part.permute(2, 3, 1, 0).repeat_interleave(2, -1))
    keep = torch.tensor([True, False] * 3 + [True] * 4)
    kept = keep_rows(grown, keep)
    assert kept.stride()[1:].index(1) == grown.stride()[1:].index(1)  # the layout stays
    assert torch.equal(kept[:6], grown[:6, ..., keep])
    q = torch.randn(7, heads, 8, generator=rng)
    mask = torch.zeros(6, 1, 7)
    mask[2:4, 0, 1] = float("-inf")
    keys = kept[:6].permute(3, 2, 0, 1)
    for bias in (None, mask):
        seen = None if bias is None else bias.permute(2, 1, 0)[:, :, None]
        wanted = scaled_dot_product_attention(q[:, :, None], keys, keys + 1, attn_mask=seen, enable_gqa=True)
        got = attend(q, kept[:6], kept[:6] + 1, bias)
        torch.testing.assert_close(got, wanted.reshape(7, -1), **CLOSE)


def test_a_single_slot_is_all_there_is_to_read() -> None:
    v = torch.arange(12.0).view(1, 2, 2, 3)
    got = attend(torch.ones(3, 2, 2), torch.zeros(1, 2, 2, 3), v, None)
    assert torch.equal(got, v[0].permute(2, 1, 0).reshape(3, 4))


def test_sampling_and_scoring_read_alike(model: PreTrainedModel) -> None:
    """What sampling recorded is what an update scores: the first ratio is 1."""
    policy = FullPolicy(model)
    samples = sampled(policy)
    logits = policy.logits(PROMPTS, samples, torch.arange(12)).log_softmax(-1)
    keep = policies.valid(samples, torch.arange(12))
    chosen = logits.gather(-1, samples.ids[keep][:, None])[:, 0]
    torch.testing.assert_close(chosen, samples.logprob[keep], **CLOSE)
