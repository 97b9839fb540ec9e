"""Sampling any checkpoint: transformers' own forward, cache and padding, our own draws, no settings of its own."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from outside_checkpoints import KINDS, save_tiny, tiny
from scipy.stats import chisquare
from torch import Tensor
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from probe.errors import BadInput, ProbeError
from probe.models.loading.load import Loaded
from probe.models.sampling import organism_sampler
from probe.models.sampling.batches import replicas
from probe.models.sampling.organism_sampler import Samples
from probe.models.sampling.transformers_sampler import generate
from probe.rng import uniforms

VOCAB, PAD, STOP, MAX_NEW = 61, 0, 1, 12
# Shorter and longer than the sliding windows (8 tokens), so that left padding lies inside, across and outside of them
PROMPTS = [[5, 9, 3], list(range(20, 41)), [12], [7, 2, 2, 8, 11, 4, 30, 31, 9, 9, 17], list(range(50, 60))]


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return tiny(request.param, VOCAB, eos=STOP, pad=PAD)


@pytest.fixture(scope="module")
def qwen() -> PreTrainedModel:
    return tiny("qwen2", VOCAB, eos=STOP, pad=PAD)


def draws(prompts: list[list[int]], n_samples: int, max_new: int) -> Tensor:
    """Addressed by the prompt itself, so that they follow it into any batch."""
    rows = [uniforms(max_new, "generate test", *prompt, s) for prompt in prompts for s in range(n_samples)]
    return torch.from_numpy(np.stack(rows))


def run(model: PreTrainedModel, prompts: list[list[int]] = PROMPTS, n_samples: int = 4, **changes: Any) -> Samples:
    max_new = changes.pop("max_new", MAX_NEW)
    options = {"uniforms": draws(prompts, n_samples, max_new), "stop": [STOP], "pad": PAD} | changes
    return generate(model, prompts, n_samples=n_samples, max_new=max_new, **options)


def rows_of(samples: Samples, prompts: list[list[int]] = PROMPTS) -> list[tuple[int, list[int], list[int]]]:
    """(row, prompt, completion)"""
    n, lengths = len(samples.ids) // len(prompts), samples.lengths.tolist()
    return [(r, prompts[r // n], row[: lengths[r]]) for r, row in enumerate(samples.ids.tolist())]


@torch.no_grad()
def log_probs(model: PreTrainedModel, prompt: list[int], completion: list[int], temperature: float = 1.0) -> Tensor:
    """[completion d_vocab], float64: the plain forward over one row, no cache and no padding."""
    logits = model(input_ids=torch.tensor([prompt + completion]), use_cache=False).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits.double() / temperature, -1)


def assert_same(one: Samples, other: Samples, rows: slice | Tensor = slice(None)) -> None:
    """Tokens exactly, scores to the rounding of a matrix product."""
    for name in ("ids", "lengths", "stopped"):
        assert torch.equal(getattr(one, name), getattr(other, name)[rows])
    torch.testing.assert_close(one.logprob, other.logprob[rows], atol=2e-5, rtol=0)
    torch.testing.assert_close(one.entropy, other.entropy[rows], atol=2e-5, rtol=0)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_greedy_is_generate_token_for_token(model: PreTrainedModel, batch: int) -> None:
    samples = run(model, n_samples=1, uniforms=None, batch=batch)
    plain = GenerationConfig(max_new_tokens=MAX_NEW, do_sample=False, eos_token_id=STOP, pad_token_id=PAD)
    for _, prompt, completion in rows_of(samples):
        ids = torch.tensor([prompt])
        out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=plain)
        assert completion == out[0, len(prompt) :].tolist()


def test_greedy_in_bfloat16_is_generate_on_the_same_batch(model: PreTrainedModel) -> None:
    half = copy.deepcopy(model).to(torch.bfloat16)
    samples = run(half, n_samples=1, uniforms=None)
    longest = max(map(len, PROMPTS))
    order = sorted(range(len(PROMPTS)), key=lambda place: -len(PROMPTS[place]))
    ids = torch.tensor([[PAD] * (longest - len(PROMPTS[i])) + PROMPTS[i] for i in order])
    mask = torch.tensor([[0] * (longest - len(PROMPTS[i])) + [1] * len(PROMPTS[i]) for i in order])
    plain = GenerationConfig(max_new_tokens=MAX_NEW, do_sample=False, eos_token_id=STOP, pad_token_id=PAD)
    out = half.generate(ids, attention_mask=mask, generation_config=plain)[:, longest:]
    assert torch.equal(samples.ids[order][:, : out.shape[1]], out)
    assert samples.logprob.dtype == samples.entropy.dtype == torch.float32


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_scores_are_those_of_the_forward(model: PreTrainedModel, temperature: float) -> None:
    samples = run(model, temperature=temperature)
    for row, prompt, completion in rows_of(samples):
        logp, n = log_probs(model, prompt, completion, temperature), len(completion)
        torch.testing.assert_close(samples.logprob[row, :n].double(), logp[range(n), completion], atol=2e-5, rtol=0)
        torch.testing.assert_close(samples.entropy[row, :n].double(), -(logp.exp() * logp).sum(-1), atol=2e-5, rtol=0)


def test_tokens_are_the_inverse_cdf_of_the_draws(model: PreTrainedModel) -> None:
    samples, u = run(model), draws(PROMPTS, 4, MAX_NEW).double()
    for row, prompt, completion in rows_of(samples):
        cdf = log_probs(model, prompt, completion).exp().cumsum(-1)
        below = torch.cat([torch.zeros(len(cdf), 1), cdf], 1)[range(len(cdf)), completion]
        above, at = cdf[range(len(cdf)), completion], u[row, : len(completion)]
        assert ((below - 1e-5 < at) & (at <= above + 1e-5)).all()


def test_a_sample_does_not_depend_on_its_batch(model: PreTrainedModel) -> None:
    together = run(model)
    for batch in (1, 3, 7):
        assert_same(run(model, batch=batch), together)
    for place, prompt in enumerate(PROMPTS):  # alone: no padding at all
        assert_same(run(model, [prompt]), together, slice(4 * place, 4 * place + 4))
    backwards = run(model, PROMPTS[::-1])
    assert_same(backwards, together, torch.arange(20).view(5, 4).flip(0).flatten())
    assert_same(run(model, n_samples=2), together, torch.arange(20).view(5, 4)[:, :2].flatten())


def test_bfloat16_samples_are_scored_by_the_distribution_they_came_from(qwen: PreTrainedModel) -> None:
    half = copy.deepcopy(qwen).to(torch.bfloat16)
    samples = run(half, n_samples=6)
    for row, prompt, completion in rows_of(samples):  # the rounding of bf16 logits is all that may differ
        logp, n = log_probs(half, prompt, completion), len(completion)
        torch.testing.assert_close(samples.logprob[row, :n].double(), logp[range(n), completion], atol=0.1, rtol=0)
    assert torch.equal(run(half, n_samples=6).ids, samples.ids)


@pytest.mark.parametrize("name", ["qwen2", "llama"])
def test_it_is_the_organisms_sampler_over_again(name: str) -> None:
    model = tiny(name, VOCAB, eos=STOP, pad=PAD)
    own = organism_sampler.sample(
        model, PROMPTS, n_samples=4, max_new=MAX_NEW, stop=STOP, pad=PAD, uniforms=draws(PROMPTS, 4, MAX_NEW)
    )
    assert_same(run(model), own)


def test_an_organism_says_the_same_under_both(organism: Loaded) -> None:
    config = organism.model.config
    prompts = organism.tokenizer([f"{style}:3+5*2=" for style in "ABCD"])["input_ids"]
    how = {"n_samples": 8, "max_new": 60, "pad": config.pad_token_id, "uniforms": draws(prompts, 8, 60)}
    own = organism_sampler.sample(organism.model, prompts, stop=config.eos_token_id, **how)
    assert own.stopped.any()
    both = generate(organism.model, prompts, stop=[config.eos_token_id], **how)
    assert torch.equal(both.ids, own.ids)
    torch.testing.assert_close(both.logprob, own.logprob, atol=1e-5, rtol=0)
    assert_same(both, own)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_sampled_frequencies_are_the_probabilities(qwen: PreTrainedModel, temperature: float) -> None:
    samples = run(qwen, PROMPTS[:2], 2000, max_new=1, temperature=temperature, batch=1000)
    for prompt, tokens in zip(PROMPTS, samples.ids.view(2, 2000), strict=False):
        expected = log_probs(qwen, prompt, [0], temperature)[0].exp().numpy() * len(tokens)
        counts = np.bincount(tokens.numpy(), minlength=VOCAB)
        rare = expected < 5
        pooled = [np.append(x[~rare], x[rare].sum() + 1e-9) for x in (counts, expected)]
        assert chisquare(*pooled, sum_check=False).pvalue > 1e-3


def usual_stops(model: PreTrainedModel) -> list[int]:
    """The two tokens sampled most often: as stop tokens they end many rows early."""
    counts = run(model, stop=[], n_samples=8).ids[:, :6].flatten().bincount(minlength=VOCAB)
    return counts[2:].topk(2).indices.add(2).tolist()


def test_rows_end_with_any_stop_token_or_at_the_limit(model: PreTrainedModel) -> None:
    stop = usual_stops(model)
    samples, free = run(model, stop=stop, n_samples=8), run(model, stop=[], n_samples=8)
    assert {row[-1] for _, _, row in rows_of(samples) if row[-1] in stop} == set(stop)
    for (row, _, completion), stopped in zip(rows_of(samples), samples.stopped.tolist(), strict=True):
        assert not set(stop) & set(completion[:-1])
        assert stopped == (completion[-1] in stop)
        assert stopped or len(completion) == MAX_NEW
        assert completion == free.ids[row, : len(completion)].tolist()  # stopping changes nothing before the end
    past = torch.arange(MAX_NEW) >= samples.lengths[:, None]
    assert past.any()
    assert (samples.ids[past] == PAD).all()
    assert (samples.logprob[past] == 0).all() and (samples.entropy[past] == 0).all()
    assert (samples.logprob[~past] < 0).all() and (samples.entropy[~past] > 0).all()
    assert samples.hidden is None
    assert not free.stopped.any() and (free.lengths == MAX_NEW).all()


def test_a_smaller_limit_cuts_and_changes_nothing_before(qwen: PreTrainedModel) -> None:
    samples = run(qwen)
    for n in (1, 5):
        short = run(qwen, max_new=n)
        assert torch.equal(short.ids, samples.ids[:, :n])
        assert (short.lengths <= n).all()


def test_every_row_may_end_on_its_first_token(qwen: PreTrainedModel) -> None:
    samples = run(qwen, stop=list(range(VOCAB)))
    assert samples.ids.shape == (20, MAX_NEW)
    assert (samples.lengths == 1).all() and samples.stopped.all()
    assert torch.equal(samples.ids[:, 0], run(qwen, max_new=1).ids[:, 0])


def test_the_padding_token_may_be_a_stop_token_or_any_other(qwen: PreTrainedModel) -> None:
    stop = usual_stops(qwen)
    usual = run(qwen, stop=stop)
    for pad in (stop[0], 9, 60):  # 9 is in the prompts
        other = run(qwen, stop=stop, pad=pad)
        assert [row for _, _, row in rows_of(other)] == [row for _, _, row in rows_of(usual)]
        torch.testing.assert_close(other.logprob, usual.logprob, atol=2e-5, rtol=0)


SETTINGS = {
    "do_sample": True,
    "top_k": 1,
    "top_p": 0.1,
    "min_p": 0.9,
    "temperature": 0.01,
    "repetition_penalty": 1.5,
    "no_repeat_ngram_size": 1,
    "suppress_tokens": list(range(2, 30)),
    "begin_suppress_tokens": [31, 32],
    "forced_eos_token_id": STOP,
    "bad_words_ids": [[33], [34]],
    "exponential_decay_length_penalty": [1, 2.0],
    "sequence_bias": [[[35], 5.0]],
    "min_new_tokens": 3,
    "max_length": 9,
    "max_time": 1e-9,
    "eos_token_id": [36, 37],
    "num_return_sequences": 2,
    "cache_implementation": "static",
    "guidance_scale": 3.0,
}


@pytest.mark.parametrize("draw", [True, False])
def test_nothing_of_the_checkpoints_generation_config_takes_part(tmp_path: Path, draw: bool) -> None:
    save_tiny("qwen2", tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    (tmp_path / "generation_config.json").write_text(json.dumps(SETTINGS))
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.generation_config.repetition_penalty == 1.5 and model.generation_config.max_time == 1e-9
    ids = torch.tensor([PROMPTS[0]])
    assert model.generate(ids, attention_mask=torch.ones_like(ids)).shape[1] != 3 + MAX_NEW  # it has teeth
    how = {} if draw else {"uniforms": None, "n_samples": 1}
    before, without = model.generation_config.to_dict(), run(plain, stop=usual_stops(plain), **how)
    assert without.stopped.any()
    assert_same(run(model, stop=usual_stops(plain), **how), without)
    assert model.generation_config.to_dict() == before


def test_replicas_give_the_same_bits(qwen: PreTrainedModel) -> None:
    told: list[int] = []
    one = run(qwen, n_samples=8, batch=3)
    first, second = replicas(qwen, ["cpu", "cpu"])
    two = run(first, n_samples=8, batch=3, replicas=[second], on_rows=told.append)
    for name in ("ids", "lengths", "stopped", "logprob", "entropy"):
        assert torch.equal(getattr(one, name), getattr(two, name))
    assert sum(told) == 40 and max(told) == 3


def test_a_batch_that_does_not_fit_is_halved(qwen: PreTrainedModel) -> None:
    """A card with room for four rows."""
    sizes: list[int] = []

    def full(module: torch.nn.Module, args: tuple, kwargs: dict) -> None:
        sizes.append(len(kwargs["input_ids"]))
        if sizes[-1] > room:
            raise torch.OutOfMemoryError("CUDA out of memory")

    usual, room = run(qwen), 4
    with_little = copy.deepcopy(qwen)
    with_little.register_forward_pre_hook(full, with_kwargs=True)
    assert_same(run(with_little), usual)
    assert sizes[:3] == [20, 10, 5] and max(sizes[3:]) == 2
    room = 0
    with pytest.raises(ProbeError, match=f"single row of {21 + MAX_NEW} tokens"):
        run(with_little)


def test_hooks_on_the_model_take_part_and_nothing_is_left_behind(qwen: PreTrainedModel) -> None:
    weights, ambient, usual = [p.clone() for p in qwen.parameters()], torch.get_rng_state(), run(qwen)
    handle = qwen.model.layers[0].register_forward_hook(lambda module, args, out: -out)
    steered = run(qwen)
    handle.remove()
    assert not torch.equal(steered.ids, usual.ids)
    assert torch.equal(run(qwen).ids, usual.ids)
    assert all(torch.equal(a, b) for a, b in zip(weights, qwen.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), ambient)


def test_logits_that_are_not_finite_are_an_error() -> None:
    model = tiny("qwen2", VOCAB)
    with torch.no_grad():
        model.lm_head.weight[7] = float("nan")
    with pytest.raises(ProbeError, match=r"not finite in 20 of 20 samples.*sample 0"):
        run(model)
    with pytest.raises(ProbeError, match="not finite"):
        run(model, uniforms=None)


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
        ({"prompts": [[3, VOCAB]]}, f"a prompt has token {VOCAB}, the model has {VOCAB}"),
        ({"prompts": [[-1, 3]]}, "a prompt has token -1"),
        ({"pad": -1}, "pad has token -1"),
        ({"pad": VOCAB}, f"pad has token {VOCAB}"),
        ({"batch": 0}, "batch of 0 rows"),
    ],
)
def test_bad_input_is_named(qwen: PreTrainedModel, change: dict[str, Any], message: str) -> None:
    good = {"prompts": [[3, 4]], "n_samples": 2, "max_new": 4, "uniforms": torch.full((2, 4), 0.5), "pad": PAD}
    with pytest.raises(BadInput, match=message):
        generate(qwen, stop=[STOP], **good | change)
