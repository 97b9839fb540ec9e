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

import re
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import embedding, linear, rms_norm, scaled_dot_product_attention, silu
from transformers import PreTrainedModel

from probe.errors import BadInput
from probe.models.cache import Cache, attend, keep_rows, share_out

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


def _rotate(x: Float[Tensor, "row heads d"], cos: Tensor, sin: Tensor) -> Float[Tensor, "row heads d"]:
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


def _qkv(
    w: _Weights, layer: _Layer, x: Float[Tensor, "row d_model"], positions: Int[Tensor, "row"]
) -> tuple[Float[Tensor, "row heads d"], Float[Tensor, "row kv_heads d"], Float[Tensor, "row kv_heads d"]]:
    h = rms_norm(x, (x.shape[-1],), layer.attn_norm, w.eps)
    fused = linear(h, layer.qkv, layer.qkv_bias).view(len(x), -1, w.d_head)
    q, k, v = fused.split([w.heads, w.kv_heads, w.kv_heads], 1)
    cos, sin = w.cos[positions][:, None], w.sin[positions][:, None]
    return _rotate(q, cos, sin), _rotate(k, cos, sin), v


def _mlp(w: _Weights, layer: _Layer, x: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_model"]:
    gate, up = linear(rms_norm(x, (x.shape[-1],), layer.mlp_norm, w.eps), layer.gate_up).chunk(2, -1)
    return linear(silu(gate) * up, layer.down)


def _prefill(
    w: _Weights, prompts: list[list[int]], n_samples: int, max_new: int, pad: int
) -> tuple[Float[Tensor, "batch d_model"], Cache]:
    """The state that predicts each row's first token, and the caches: each prompt read once, then shared out."""
    lengths = torch.tensor([len(p) for p in prompts])
    n, longest = len(prompts), int(lengths.max())
    ids = torch.full((n, longest), pad)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = torch.tensor(prompt)
    x, positions = embedding(ids, w.embed).view(n * longest, -1), torch.arange(longest).repeat(n)
    grouped, cache = w.heads != w.kv_heads, Cache()
    for layer in w.layers:
        q, k, v = (part.view(n, longest, -1, w.d_head).transpose(1, 2) for part in _qkv(w, layer, x, positions))
        attended = scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
        x = x + linear(attended.transpose(1, 2).reshape(n * longest, -1), layer.out)
        x = x + _mlp(w, layer, x)
        cache.append((share_out(k, n_samples, max_new, grouped), share_out(v, n_samples, max_new, grouped)))
    last = rms_norm(x, (x.shape[-1],), w.norm, w.eps).view(n, longest, -1)[torch.arange(n), lengths - 1]
    return last.repeat_interleave(n_samples, 0), cache


def _step(
    w: _Weights,
    tokens: Int[Tensor, "batch"],
    positions: Int[Tensor, "batch"],
    cache: Cache,
    slot: int,
    mask: Float[Tensor, "key 1 batch"] | None,
) -> Float[Tensor, "batch d_model"]:
    """One new token per row, written at cache slot `slot`; returns the state that predicts the next."""
    x = embedding(tokens, w.embed)
    for layer, (keys, values) in zip(w.layers, cache, strict=True):
        q, k, v = _qkv(w, layer, x, positions)
        keys[slot], values[slot] = k.permute(2, 1, 0), v.permute(2, 1, 0)
        x = x + linear(attend(q, keys[: slot + 1], values[: slot + 1], mask), layer.out)
        x = x + _mlp(w, layer, x)
    return rms_norm(x, (x.shape[-1],), w.norm, w.eps)


def _draw(
    logits: Float[Tensor, "batch d_vocab"], u: Float[Tensor, "batch"] | None
) -> tuple[Tensor, Float[Tensor, "batch"], Float[Tensor, "batch"]]:
    """Token, its log-prob and the entropy; greedy where `u` is None. Inverse CDF in float64: no tail is lost."""
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

    `head` replaces the model's output head. Raises BadInput on an empty prompt, wrong shapes, a temperature <= 0, or a
    model with parts that this loop does not compute.
    """
    _check_model(model)
    batch = len(prompts) * n_samples
    _check(prompts, n_samples, max_new, uniforms, temperature, batch)
    longest = max(len(p) for p in prompts)
    w = _fuse(model, head, longest + max_new)
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


def _check_model(model: PreTrainedModel) -> None:
    """BadInput where the model's forward has something this loop would leave out, and silently be wrong."""
    config = model.config
    biases = [n for n, _ in model.named_parameters() if n.endswith(".bias") and not re.search(r"\.[qkv]_proj\.", n)]
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    found = {
        f"model type {config.model_type}": config.model_type not in ("llama", "qwen2"),
        f"activation {config.hidden_act}": config.hidden_act != "silu",
        f"rotary embedding {rope}": rope in ("dynamic", "longrope"),
        f"biases {biases[:3]}": bool(biases),
        "sliding windows": "sliding_attention" in (getattr(config, "layer_types", None) or ()),
    }
    strange = [what for what, is_there in found.items() if is_there]
    if strange:
        do = "sample from a plain Llama or Qwen2, or use the model's own `generate`"
        raise BadInput(f"the decode loop cannot do {', '.join(strange)}", where="sample", do=do)


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
