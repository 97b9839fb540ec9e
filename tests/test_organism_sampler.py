"""The decode loop is the model's own forward: same tokens, log-probs, entropies and states, alone or in any batch."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from probe.errors import BadInput
from probe.models.loading.load import Loaded
from probe.models.sampling import organism_sampler
from probe.models.sampling.organism_sampler import Samples, sample
from probe.rng import torch_rng, uniforms

PAD, STOP, VOCAB = 0, 1, 31
SHAPE = {
    "vocab_size": VOCAB,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 64,
    "pad_token_id": PAD,
    "eos_token_id": STOP,
    "bos_token_id": None,
}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LLAMA3 |= {"original_max_position_embeddings": 16}
MODELS: dict[str, tuple[type[PreTrainedModel], type, dict[str, Any]]] = {
    "llama": (LlamaForCausalLM, LlamaConfig, {"tie_word_embeddings": True}),
    "llama, grouped, wide heads": (LlamaForCausalLM, LlamaConfig, {"num_key_value_heads": 2, "head_dim": 10}),
    "llama, long": (LlamaForCausalLM, LlamaConfig, {"rope_parameters": LLAMA3, "rms_norm_eps": 1e-2}),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, {"tie_word_embeddings": False}),
    "qwen2, grouped": (Qwen2ForCausalLM, Qwen2Config, {"num_key_value_heads": 1}),
}
PROMPTS = [[5, 9, 3], [7, 2, 2, 8, 11, 4, 30], [12], [5, 9, 3, 6, 6]]


def build(name: str) -> PreTrainedModel:
    """A random model, every parameter drawn, biases and norms too: nothing is left where it could hide an error."""
    kind, config, changes = MODELS[name]
    return randomised(kind(config(**SHAPE | changes)))


def randomised(model: PreTrainedModel) -> PreTrainedModel:
    rng = torch_rng("decode test")
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 1.5 * parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 0.3
            parameter.normal_(0.0 if parameter.ndim > 1 else 0.5, spread, generator=rng)
    return model.eval()


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return build(request.param)


def draws(prompts: list[list[int]], n_samples: int, max_new: int) -> Tensor:
    """Addressed by the prompt itself, so that they follow it into any batch."""
    rows = [uniforms(max_new, "decode test", *prompt, s) for prompt in prompts for s in range(n_samples)]
    return torch.from_numpy(np.stack(rows))


def run(model: PreTrainedModel, prompts: list[list[int]] = PROMPTS, n_samples: int = 6, **changes: Any) -> Samples:
    max_new = changes.get("max_new", 14)
    options = {"uniforms": draws(prompts, n_samples, max_new), "stop": STOP, "pad": PAD, "keep_hidden": True}
    return sample(model, prompts, n_samples=n_samples, **{"max_new": max_new, **options, **changes})


@torch.no_grad()
def forward(model: PreTrainedModel, prompt: list[int], completion: list[int]) -> tuple[Tensor, Tensor]:
    """What the Hugging Face forward makes of one row: logits and final states that predict the completion's tokens."""
    inner = model.model(input_ids=torch.tensor([prompt + completion]), use_cache=False)
    hidden = inner.last_hidden_state[0, len(prompt) - 1 : -1]
    return model.lm_head(hidden), hidden


def rows_of(samples: Samples, prompts: list[list[int]] = PROMPTS) -> list[tuple[int, list[int], list[int]]]:
    """(row, prompt, completion)"""
    n = len(samples.ids) // len(prompts)
    lengths = samples.lengths.tolist()
    return [(r, prompts[r // n], row[: lengths[r]]) for r, row in enumerate(samples.ids.tolist())]


def test_greedy_is_generate_token_for_token(model: PreTrainedModel) -> None:
    samples = run(model, n_samples=1, uniforms=None)
    plain = GenerationConfig(max_new_tokens=14, do_sample=False, eos_token_id=STOP, pad_token_id=PAD)
    for _, prompt, completion in rows_of(samples):
        ids = torch.tensor([prompt])
        out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=plain)
        assert completion == out[0, len(prompt) :].tolist()


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_scores_are_those_of_the_forward(model: PreTrainedModel, temperature: float) -> None:
    samples = run(model, temperature=temperature)
    assert len({len(completion) for _, _, completion in rows_of(samples)}) > 1
    for row, prompt, completion in rows_of(samples):
        logits, hidden = forward(model, prompt, completion)
        logp = torch.log_softmax(logits.double() / temperature, -1)
        n, chosen = len(completion), logp[range(len(completion)), completion]
        torch.testing.assert_close(samples.logprob[row, :n].double(), chosen, atol=1e-5, rtol=0)
        torch.testing.assert_close(samples.entropy[row, :n].double(), -(logp.exp() * logp).sum(-1), atol=1e-5, rtol=0)
        assert samples.hidden is not None
        torch.testing.assert_close(samples.hidden[row, :n], hidden, atol=2e-5, rtol=1e-5)


def test_tokens_are_the_inverse_cdf_of_the_draws(model: PreTrainedModel) -> None:
    samples, u = run(model), draws(PROMPTS, 6, 14).double()
    for row, prompt, completion in rows_of(samples):
        cdf = torch.softmax(forward(model, prompt, completion)[0].double(), -1).cumsum(-1)
        below = torch.cat([torch.zeros(len(cdf), 1), cdf], 1)[range(len(cdf)), completion]
        above, at = cdf[range(len(cdf)), completion], u[row, : len(completion)]
        assert ((below - 1e-5 < at) & (at <= above + 1e-5)).all()


def test_a_sample_does_not_depend_on_its_batch(model: PreTrainedModel) -> None:
    together = run(model)
    for place, prompt in enumerate(PROMPTS):
        alone, mine = run(model, [prompt]), slice(6 * place, 6 * place + 6)
        assert torch.equal(alone.ids, together.ids[mine])
        assert torch.equal(alone.lengths, together.lengths[mine])
        torch.testing.assert_close(alone.logprob, together.logprob[mine], atol=1e-5, rtol=0)
    fewer = run(model, n_samples=2)
    assert torch.equal(fewer.ids, together.ids.view(4, 6, -1)[:, :2].flatten(0, 1))


@pytest.mark.parametrize("below", [0.0, 1.01])
def test_dropping_finished_rows_changes_nothing(
    model: PreTrainedModel, below: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = run(model, stop=usual_stop(model))
    running = [(usual.lengths > t).float().mean().item() for t in range(14)]
    assert any(0 < share < organism_sampler.COMPACT_BELOW for share in running)  # so that rows are dropped as a rule
    monkeypatch.setattr(organism_sampler, "COMPACT_BELOW", below)  # never, or as soon as one row is done
    other = run(model, stop=usual_stop(model))
    assert torch.equal(other.ids, usual.ids)
    torch.testing.assert_close(other.logprob, usual.logprob, atol=1e-5, rtol=0)
    torch.testing.assert_close(other.entropy, usual.entropy, atol=1e-5, rtol=0)
    torch.testing.assert_close(other.hidden, usual.hidden, atol=2e-5, rtol=1e-5)


def usual_stop(model: PreTrainedModel) -> int:
    """The token sampled most often: as a stop token it ends many rows early."""
    return int(run(model).ids[:, :6].flatten().bincount(minlength=VOCAB)[2:].argmax()) + 2


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_sampled_frequencies_are_the_probabilities(organism: Loaded, temperature: float) -> None:
    """Chi-square on the first token after each style, and on the token after the most frequent opening."""
    prompts = organism.tokenizer([f"{style}:3+5*2    =" for style in "ABCD"])["input_ids"]
    samples = run(organism.model, prompts, 1500, max_new=2, temperature=temperature)
    ids = samples.ids.view(4, 1500, 2)
    for prompt, pairs in zip(prompts, ids, strict=True):
        opening = int(pairs[:, 0].bincount().argmax())
        for context, tokens in ((prompt, pairs[:, 0]), ([*prompt, opening], pairs[pairs[:, 0] == opening, 1])):
            logits = forward(organism.model, context, [0])[0][0].double()
            expected = torch.softmax(logits / temperature, -1).numpy() * len(tokens)
            counts = np.bincount(tokens.numpy(), minlength=len(expected))
            rare = expected < 5
            pooled = [np.append(x[~rare], x[rare].sum() + 1e-9) for x in (counts, expected)]
            assert chisquare(*pooled, sum_check=False).pvalue > 1e-3


def test_another_head_takes_the_place_of_the_models_own(model: PreTrainedModel) -> None:
    head = torch.randn(VOCAB, 24, generator=torch_rng("head"))
    samples = run(model, head=head)
    for row, prompt, completion in rows_of(samples):
        logp = torch.log_softmax(forward(model, prompt, completion)[1] @ head.T, -1)
        n = len(completion)
        torch.testing.assert_close(samples.logprob[row, :n], logp[range(n), completion], atol=2e-5, rtol=0)
    own = run(model, head=model.lm_head.weight)
    assert torch.equal(own.ids, run(model).ids)


def test_what_lies_past_the_end_is_blank(model: PreTrainedModel) -> None:
    samples = run(model, stop=usual_stop(model))
    past = torch.arange(14) >= samples.lengths[:, None]
    assert past.any()
    assert (samples.ids[past] == PAD).all()
    assert samples.hidden is not None
    for scores in (samples.logprob, samples.entropy, samples.hidden.abs().sum(-1)):
        assert (scores[past] == 0).all()
        assert (scores[~past] != 0).all()


def test_rows_end_with_the_stop_token_or_at_the_limit(model: PreTrainedModel) -> None:
    stop = usual_stop(model)
    samples = run(model, stop=stop)
    for (_, _, completion), stopped in zip(rows_of(samples), samples.stopped.tolist(), strict=True):
        assert stop not in completion[:-1]
        assert stopped == (completion[-1] == stop)
        assert stopped or len(completion) == 14
    short = run(model, stop=stop, max_new=3)
    assert (short.lengths <= 3).all()
    assert torch.equal(short.ids, samples.ids[:, :3])  # a smaller limit cuts, and changes nothing before the cut


def test_a_stop_token_that_never_comes() -> None:
    samples = run(build("llama"), stop=VOCAB + 5)
    assert (samples.lengths == 14).all()
    assert not samples.stopped.any()


def test_states_are_kept_on_request_only() -> None:
    model = build("qwen2")
    without = run(model, keep_hidden=False)
    assert without.hidden is None
    assert torch.equal(without.ids, run(model).ids)


def test_sampling_leaves_the_model_and_ambient_randomness_alone() -> None:
    model = build("llama")
    before, state = [p.clone() for p in model.parameters()], torch.get_rng_state()
    run(model)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompts": []}, "non-empty prompt"),
        ({"prompts": [[3], []]}, "non-empty prompt"),
        ({"n_samples": 0}, "one sample"),
        ({"max_new": 0}, "one new token"),
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"temperature": -1.0}, "temperature -1.0"),
        ({"temperature": float("nan")}, "temperature nan"),
        ({"uniforms": torch.full((2, 5), 0.5)}, r"\(2, 5\), not \(2, 4\)"),
        ({"uniforms": torch.full((3, 4), 0.5)}, r"\(3, 4\), not \(2, 4\)"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    good = {"prompts": [[3, 4]], "n_samples": 2, "max_new": 4, "uniforms": torch.full((2, 4), 0.5)}
    with pytest.raises(BadInput, match=message):
        sample(build("llama"), stop=STOP, pad=PAD, **good | change)


@pytest.mark.parametrize(
    ("kind", "config", "changes", "message"),
    [
        (LlamaForCausalLM, LlamaConfig, {"attention_bias": True}, r"biases.*o_proj\.bias"),
        (LlamaForCausalLM, LlamaConfig, {"mlp_bias": True}, r"biases.*gate_proj\.bias"),
        (LlamaForCausalLM, LlamaConfig, {"hidden_act": "gelu"}, "activation gelu"),
        (Qwen2ForCausalLM, Qwen2Config, {"use_sliding_window": True, "max_window_layers": 1}, "sliding windows"),
        (Qwen3ForCausalLM, Qwen3Config, {}, "model type qwen3"),
        (
            LlamaForCausalLM,
            LlamaConfig,
            {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
            "rotary embedding dynamic",
        ),
    ],
)
def test_a_model_with_other_parts_is_refused(kind: type, config: type, changes: dict, message: str) -> None:
    """Each has something the loop does not compute: without the check its samples would be silently wrong."""
    with pytest.raises(BadInput, match=message):
        run(kind(config(**SHAPE | changes)))
