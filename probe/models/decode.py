"""Sample from an organism, fast: KV-cached, each prompt prefilled once and its cache shared out to its samples.

For Qwen2- and Llama-shaped models on the CPU. The loop reads the Hugging Face module's own weights (fused once per
call) and must agree with its forward, which is the truth; the tests hold it to that. Next to the tokens it returns what
GRPO would otherwise recompute: the log-prob of each sampled token (exact, since nothing is truncated), the entropy of
the distribution it was drawn from, and optionally the final hidden states.

Drawing is by inverse CDF from uniforms given by the caller, one row of draws per sample: the caller addresses them, so
a sample does not depend on what else is in the batch. Prompts are right-padded; completions start at one common cache
slot and rotary positions are per row, so there is no left padding to go wrong.

Left out: top-k, top-p, penalties, beams, quantised caches (use `generate` for those).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import embedding, linear, rms_norm, scaled_dot_product_attention, silu
from transformers import PreTrainedModel

from probe.errors import BadInput

COMPACT_BELOW = 0.75  # drop finished rows from the cache once this share of it is still running


@dataclass(frozen=True)
class Samples:
    """What sampling returns: row r is sample r % n_samples of prompt r // n_samples. Padded with `pad` / 0 past `lengths`."""

    ids: Int[Tensor, "batch pos"]
    lengths: Int[Tensor, "batch"]  # with the stop token
    stopped: Bool[Tensor, "batch"]  # ended by the stop token, not by the length limit
    logprob: Float[Tensor, "batch pos"]  # nats, of the drawn token under the distribution it was drawn from
    entropy: Float[Tensor, "batch pos"]  # nats, of that distribution
    hidden: Float[Tensor, "batch pos d_model"] | None  # after the final norm, at the position that predicts the token


@dataclass(frozen=True)
class _Layer:
    qkv: Tensor
    qkv_bias: Tensor | None
    out: Tensor
    gate_up: Tensor
    down: Tensor
    attn_norm: Tensor
    mlp_norm: Tensor


@dataclass(frozen=True)
class _Weights:
    embed: Tensor
    layers: list[_Layer]
    norm: Tensor
    head: Tensor
    eps: float
    heads: int
    kv_heads: int
    d_head: int
    cos: Tensor
    sin: Tensor


def _fuse(model: PreTrainedModel, head: Tensor | None, length: int) -> _Weights:
    config, inner = model.config, model.model
    d_head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    layers = []
    for block in inner.layers:
        attn, mlp = block.self_attn, block.mlp
        parts = (attn.q_proj, attn.k_proj, attn.v_proj)
        bias = None if parts[0].bias is None else torch.cat([p.bias for p in parts])
        layers.append(
            _Layer(
                torch.cat([p.weight for p in parts]),
                bias,
                attn.o_proj.weight,
                torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]),
                mlp.down_proj.weight,
                block.input_layernorm.weight,
                block.post_attention_layernorm.weight,
            )
        )
    cos, sin = inner.rotary_emb(inner.embed_tokens.weight, torch.arange(length)[None])
    return _Weights(
        embed=inner.embed_tokens.weight,
        layers=layers,
        norm=inner.norm.weight,
        head=model.lm_head.weight if head is None else head,
        eps=config.rms_norm_eps,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        d_head=d_head,
        cos=cos[0],
        sin=sin[0],
    )


def _rotate(x: Float[Tensor, "batch heads pos d"], cos: Tensor, sin: Tensor) -> Float[Tensor, "batch heads pos d"]:
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


def _attend_causal(q: Tensor, k: Tensor, v: Tensor, mask: None) -> Float[Tensor, "batch heads pos d"]:
    return scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])


def _attend_one(
    q: Float[Tensor, "batch heads 1 d"],
    k: Float[Tensor, "batch kv_heads key d"],
    v: Float[Tensor, "batch kv_heads key d"],
    mask: Float[Tensor, "batch 1 1 key"] | None,
) -> Float[Tensor, "batch heads 1 d"]:
    """Attention of a single new token, written out: on a CPU half the time of the fused kernel, which is made for many."""
    batch, heads, _, d = q.shape
    scores = (q.reshape(batch, k.shape[1], -1, d) * d**-0.5) @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores + mask
    return (scores.softmax(-1) @ v).view(batch, heads, 1, d)


def _forward(
    w: _Weights,
    x: Float[Tensor, "batch pos d_model"],
    positions: Int[Tensor, "batch pos"],
    cache: list[tuple[Tensor, Tensor]],
    slot: int,
    mask: Float[Tensor, "batch 1 1 key"] | None,
) -> Float[Tensor, "batch pos d_model"]:
    """One pass over `pos` new tokens written at cache slots `slot..slot+pos`: a prompt from slot 0, or a single token.

    `mask` is added to a single token's scores: -inf on the padding of shorter prompts, None where there is none.
    """
    batch, pos, d_model = x.shape
    cos, sin = w.cos[positions][:, None], w.sin[positions][:, None]
    split = [w.heads * w.d_head, w.kv_heads * w.d_head, w.kv_heads * w.d_head]
    for layer, (keys, values) in zip(w.layers, cache, strict=True):
        h = rms_norm(x, (d_model,), layer.attn_norm, w.eps)
        q, k, v = (
            part.view(batch, pos, -1, w.d_head).transpose(1, 2)
            for part in linear(h, layer.qkv, layer.qkv_bias).split(split, -1)
        )
        keys[:, :, slot : slot + pos] = _rotate(k, cos, sin)
        values[:, :, slot : slot + pos] = v
        attend = _attend_one if pos == 1 else _attend_causal
        attended = attend(_rotate(q, cos, sin), keys[:, :, : slot + pos], values[:, :, : slot + pos], mask)
        x = x + linear(attended.transpose(1, 2).reshape(batch, pos, -1), layer.out)
        gate, up = linear(rms_norm(x, (d_model,), layer.mlp_norm, w.eps), layer.gate_up).chunk(2, -1)
        x = x + linear(silu(gate) * up, layer.down)
    return rms_norm(x, (d_model,), w.norm, w.eps)


def _prefill(
    w: _Weights, prompts: list[list[int]], n_samples: int, max_new: int, pad: int
) -> tuple[Tensor, list[tuple[Tensor, Tensor]], Tensor]:
    """The state that predicts each row's first token, the shared-out caches, and each row's prompt length."""
    lengths = torch.tensor([len(p) for p in prompts])
    longest = int(lengths.max())
    ids = torch.full((len(prompts), longest), pad)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = torch.tensor(prompt)
    shape = (len(prompts), w.kv_heads, longest, w.d_head)
    small = [(w.embed.new_zeros(shape), w.embed.new_zeros(shape)) for _ in w.layers]
    hidden = _forward(w, embedding(ids, w.embed), torch.arange(longest).expand_as(ids), small, 0, None)
    last = hidden[torch.arange(len(prompts)), lengths - 1]
    cache = []
    for pair in small:
        big = tuple(part.new_empty((len(prompts) * n_samples, w.kv_heads, longest + max_new, w.d_head)) for part in pair)
        for part, grown in zip(pair, big, strict=True):
            grown[:, :, :longest] = part.repeat_interleave(n_samples, 0)
        cache.append((big[0], big[1]))
    return last.repeat_interleave(n_samples, 0), cache, lengths.repeat_interleave(n_samples)


def _draw(
    logits: Float[Tensor, "batch d_vocab"], u: Float[Tensor, "batch"] | None
) -> tuple[Tensor, Float[Tensor, "batch"], Float[Tensor, "batch"]]:
    """Token, its log-prob and the entropy; greedy where `u` is None. Inverse CDF in float64, so that no tail is lost."""
    logp = torch.log_softmax(logits.float(), -1)
    p = logp.exp()
    entropy = -(p * logp).sum(-1)
    if u is None:
        token = logits.argmax(-1)
    else:
        cdf = p.double().cumsum(-1)
        token = torch.searchsorted(cdf, u.double()[:, None] * cdf[:, -1:]).squeeze(-1)
    return token, logp.gather(-1, token[:, None]).squeeze(-1), entropy


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

    `head` replaces the model's output head. Raises BadInput on an empty prompt, wrong shapes or a temperature <= 0.
    """
    batch = len(prompts) * n_samples
    _check(prompts, n_samples, max_new, uniforms, temperature, batch)
    longest = max(len(p) for p in prompts)
    w = _fuse(model, head, longest + max_new)
    x, cache, prompt_lengths = _prefill(w, prompts, n_samples, max_new, pad)
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
        token, logp, h = _draw(linear(x, w.head) / temperature, u)
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
            cache = [(k[running], v[running]) for k, v in cache]
            running = running[running]
        mask = None if level else _padding_mask(prompt_lengths, longest, longest + t + 1)
        x = _forward(w, embedding(token, w.embed)[:, None], prompt_lengths[:, None] + t, cache, longest + t, mask)[:, 0]
    return Samples(ids, lengths, stopped, logprob, entropy, hidden)


def _padding_mask(lengths: Int[Tensor, "batch"], longest: int, slots: int) -> Float[Tensor, "batch 1 1 key"]:
    """-inf on the slots between a row's own prompt and the common start of the completions."""
    slot = torch.arange(slots)
    hidden = (slot >= lengths[:, None]) & (slot < longest)
    return torch.zeros(hidden.shape).masked_fill(hidden, float("-inf"))[:, None, None]


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
