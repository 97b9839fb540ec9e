"""Sample from an organism, fast: KV-cached, each prompt prefilled once and its cache shared out to its samples.

For Qwen2- and Llama-shaped models on the CPU. The loop takes the Hugging Face module's own weights and must agree with
its forward, which is the truth; the tests hold it to that. Next to the tokens it returns what GRPO would otherwise
recompute: the log-prob of each sampled token (exact, since nothing is truncated), the entropy of the distribution it
was drawn from, and optionally the final hidden states.

Drawing is by inverse CDF from uniforms given by the caller, one row of draws per sample: the caller addresses them, so
a sample does not depend on what else is in the batch. Prompts are right-padded; completions start at one common cache
slot and rotary positions are per row, so there is no left padding to go wrong.

Left out: top-k, top-p, penalties, beams, quantised caches (use `generate` for those).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import embedding, linear, rms_norm
from transformers import PreTrainedModel

from probe.errors import BadInput
from probe.models.sampling.inverse_cdf import choose
from probe.models.sampling.kv_cache import Cache, attend, keep_rows, share_out
from probe.models.sampling.organism_forward import Weights, angles_at, finish, qkv, read, weights_of
from probe.models.sampling.padding import right_padded

COMPACT_BELOW = 0.75  # drop finished rows from the cache once this share of it is still running


@dataclass(frozen=True)
class Samples:
    """Row r is sample r % n_samples of prompt r // n_samples; padded with `pad` / 0 past `lengths`."""

    ids: Int[Tensor, "batch pos"]
    lengths: Int[Tensor, "batch"]  # with the stop token
    stopped: Bool[Tensor, "batch"]  # ended by the stop token, not by the length limit
    logprob: Float[Tensor, "batch pos"]  # nats, of the drawn token under the distribution it was drawn from
    entropy: Float[Tensor, "batch pos"]  # nats, of that distribution
    hidden: Float[Tensor, "batch pos d_model"] | None  # after the final norm, at the position that predicts the token
    drawn: Float[Tensor, "batch pos"] | None = None  # nats, under the sampler's own model, where `logprob` is another's


def _prefill(
    w: Weights, prompts: list[list[int]], n_samples: int, max_new: int, pad: int
) -> tuple[Float[Tensor, "batch d_model"], Cache]:
    """The state that predicts each row's first token, and the caches: each prompt read once, then shared out."""
    lengths = torch.tensor([len(p) for p in prompts])
    ids, _ = right_padded(prompts, pad)
    last, seen = read(w, ids, torch.arange(ids.shape[1]) == lengths[:, None] - 1)
    grouped = w.heads != w.kv_heads
    cache = [(share_out(k, n_samples, max_new, grouped), share_out(v, n_samples, max_new, grouped)) for k, v in seen]
    return last.repeat_interleave(n_samples, 0), cache


def _step(
    w: Weights,
    tokens: Int[Tensor, "batch"],
    positions: Int[Tensor, "batch"],
    cache: Cache,
    slot: int,
    mask: Float[Tensor, "key 1 batch"] | None,
) -> Float[Tensor, "batch d_model"]:
    """One new token per row, written at cache slot `slot`; returns the state that predicts the next."""
    x, angles = embedding(tokens, w.embed), angles_at(w, positions)
    for layer, (keys, values) in zip(w.layers, cache, strict=True):
        q, k, v = qkv(w, layer, x, angles)
        keys[slot], values[slot] = k.permute(2, 1, 0), v.permute(2, 1, 0)
        x = finish(w, layer, x, attend(q, keys[: slot + 1], values[: slot + 1], mask))
    return rms_norm(x, (x.shape[-1],), w.norm, w.eps)


@torch.inference_mode()
def sample(
    model: PreTrainedModel,
    prompts: list[list[int]],
    *,
    n_samples: int,
    max_new: int,
    stop: int,
    pad: int,
    uniforms: Float[Tensor, "batch pos"] | None,
    temperature: float = 1.0,
    head: Float[Tensor, "d_vocab d_model"] | None = None,
    keep_hidden: bool = False,
) -> Samples:
    """`n_samples` completions of each prompt. `uniforms` [len(prompts) * n_samples, max_new] in (0, 1); None is greedy.

    `head` replaces the model's output head. Raises BadInput on an empty prompt, wrong shapes, a temperature <= 0, or a
    model with parts that this loop does not compute.
    """
    batch = len(prompts) * n_samples
    _check(prompts, n_samples, max_new, uniforms, temperature, batch)
    longest = max(len(p) for p in prompts)
    w = weights_of(model, longest + max_new, head)
    x, cache = _prefill(w, prompts, n_samples, max_new, pad)
    prompt_lengths = torch.tensor([len(p) for p in prompts]).repeat_interleave(n_samples)
    ids = torch.full((batch, max_new), pad)
    logprob, entropy = torch.zeros(batch, max_new), torch.zeros(batch, max_new)
    hidden = torch.zeros(batch, max_new, x.shape[-1]) if keep_hidden else None
    lengths = torch.full((batch,), max_new)
    stopped = torch.zeros(batch, dtype=torch.bool)
    level = all(len(p) == longest for p in prompts)
    rows = torch.arange(batch)  # the rows still in the cache, and which of them still run
    running = torch.ones(batch, dtype=torch.bool)
    for t in range(max_new):
        u = None if uniforms is None else uniforms[rows, t]
        token, logp, h = choose(linear(x, w.head) / temperature, u)
        live = rows[running]
        ids[live, t], logprob[live, t], entropy[live, t] = token[running], logp[running], h[running]
        if hidden is not None:
            hidden[live, t] = x[running]
        done = running & (token == stop)
        lengths[rows[done]], stopped[rows[done]] = t + 1, True
        running &= ~done
        if t + 1 == max_new or not running.any():
            break
        if running.sum() < COMPACT_BELOW * len(rows):
            token, rows, prompt_lengths = token[running], rows[running], prompt_lengths[running]
            cache = [(keep_rows(k, running), keep_rows(v, running)) for k, v in cache]
            running = running[running]
        mask = None if level else _padding_mask(prompt_lengths, longest, longest + t + 1)
        x = _step(w, token, prompt_lengths + t, cache, longest + t, mask)
    return Samples(ids, lengths, stopped, logprob, entropy, hidden)


def _padding_mask(lengths: Int[Tensor, "batch"], longest: int, slots: int) -> Float[Tensor, "key 1 batch"]:
    """-inf on the slots between a row's own prompt and the common start of the completions."""
    slot = torch.arange(slots)[:, None]
    hidden = (slot >= lengths) & (slot < longest)
    return torch.zeros(hidden.shape).masked_fill(hidden, float("-inf"))[:, None]


def _check(
    prompts: list[list[int]], n_samples: int, max_new: int, uniforms: Tensor | None, temperature: float, batch: int
) -> None:
    if not prompts or not all(prompts) or n_samples < 1 or max_new < 1:
        raise BadInput("sampling needs at least one non-empty prompt, one sample and one new token", where="sample")
    if not temperature > 0:
        raise BadInput(f"temperature {temperature} is not positive", where="sample", do="pass uniforms=None for greedy")
    if uniforms is not None and tuple(uniforms.shape) != (batch, max_new):
        raise BadInput(
            f"uniforms have shape {tuple(uniforms.shape)}, not {(batch, max_new)}",
            where="sample",
            do="give one row of max_new draws per prompt and sample",
        )
