"""What does the model compute? The forward pass of a Llama or Qwen2 written out, from the module's own weights.

    h = x + W_o attend(rope(W_q n(x)), rope(W_k n(x)), W_v n(x));  x' = h + W_down(silu(W_gate n(h)) * W_up n(h))

with n the RMS norm: for sampling (`decode`) and for training every parameter (`rl.policy`), forward and backward. The
Hugging Face forward is the truth and the tests hold this one to it, gradients included. It is written out because the
sampler needs the parts one by one, and because an update wants states at the completion tokens only: what follows the
attention of the last block is computed nowhere else, 6 % of a round at the organisms' size.

Sequences are right-padded, so causal attention needs no mask. Left out, and refused by `weights_of`: other
architectures, scaled rotary embeddings that depend on the length, sliding windows, biases besides those of q, k, v and
down (`residual_bias`). No dropout.
"""

import re
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import embedding, linear, rms_norm, scaled_dot_product_attention, silu
from transformers import PreTrainedModel

from probe.errors import BadInput

Angles = tuple[Float[Tensor, "row 1 d"], Float[Tensor, "row 1 d"]]
KeysValues = list[tuple[Float[Tensor, "seq kv_heads key d"], Float[Tensor, "seq kv_heads key d"]]]


@dataclass(frozen=True)
class Layer:
    """One block's weights, each on its own: as one matrix, q, k, v would cost a copy on the way back."""

    qkv: list[tuple[Tensor, Tensor | None]]  # weight and bias of each
    out: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor
    attn_norm: Tensor
    mlp_norm: Tensor
    down_bias: Tensor | None = None


@dataclass(frozen=True)
class Weights:
    """A model's own parameters, and its rotary table: cosines, and sines with the sign of the half they multiply."""

    embed: Tensor
    pad: int | None  # its embedding gets no gradient
    layers: list[Layer]
    norm: Tensor
    head: Tensor
    eps: float
    heads: int
    kv_heads: int
    d_head: int
    cos: Tensor
    sin: Tensor


def weights_of(model: PreTrainedModel, length: int, head: Float[Tensor, "d_vocab d_model"] | None = None) -> Weights:
    """The weights of `model`, its output head replaced by `head` if given. BadInput where `read` would be wrong."""
    _check(model)
    config, inner = model.config, model.model
    cos, sin = inner.rotary_emb(inner.embed_tokens.weight, torch.arange(length)[None])
    left, right = sin[0].chunk(2, -1)
    return Weights(
        embed=inner.embed_tokens.weight,
        pad=inner.embed_tokens.padding_idx,
        layers=[_layer(block) for block in inner.layers],
        norm=inner.norm.weight,
        head=model.lm_head.weight if head is None else head,
        eps=config.rms_norm_eps,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        d_head=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        cos=cos[0],
        sin=torch.cat([-left, right], -1),
    )


def _layer(block: Any) -> Layer:
    attn, mlp = block.self_attn, block.mlp
    return Layer(
        qkv=[(part.weight, part.bias) for part in (attn.q_proj, attn.k_proj, attn.v_proj)],
        out=attn.o_proj.weight,
        gate=mlp.gate_proj.weight,
        up=mlp.up_proj.weight,
        down=mlp.down_proj.weight,
        attn_norm=block.input_layernorm.weight,
        mlp_norm=block.post_attention_layernorm.weight,
        down_bias=mlp.down_proj.bias,
    )


def read(
    w: Weights, ids: Int[Tensor, "seq key"], wanted: Bool[Tensor, "seq key"]
) -> tuple[Float[Tensor, "state d_model"], KeysValues]:
    """The states after the final norm at the `wanted` positions, sequence by sequence; each layer's keys and values."""
    n, longest = ids.shape
    x, angles = embedding(ids.flatten(), w.embed, w.pad), angles_at(w, torch.arange(longest).repeat(n))
    seen: KeysValues = []
    for layer in w.layers:
        q, k, v = (part.view(n, longest, -1, w.d_head).transpose(1, 2) for part in qkv(w, layer, x, angles))
        seen.append((k, v))
        attended = scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=w.heads != w.kv_heads)
        attended = attended.transpose(1, 2).reshape(n * longest, -1)
        if layer is w.layers[-1]:
            x, attended = x[wanted.flatten()], attended[wanted.flatten()]
        x = finish(w, layer, x, attended)
    return rms_norm(x, (x.shape[-1],), w.norm, w.eps), seen


def angles_at(w: Weights, positions: Int[Tensor, "row"]) -> Angles:
    """Cosines and sines of the rotary embedding."""
    return w.cos[positions][:, None], w.sin[positions][:, None]


def qkv(
    w: Weights, layer: Layer, x: Float[Tensor, "row d_model"], angles: Angles
) -> tuple[Float[Tensor, "row heads d"], Float[Tensor, "row kv_heads d"], Float[Tensor, "row kv_heads d"]]:
    """Queries, keys and values of each row, rotated to its position."""
    h = rms_norm(x, (x.shape[-1],), layer.attn_norm, w.eps)
    q, k, v = (linear(h, *weight_and_bias).view(len(x), -1, w.d_head) for weight_and_bias in layer.qkv)
    return _rotate(q, *angles), _rotate(k, *angles), v


def finish(
    w: Weights, layer: Layer, x: Float[Tensor, "row d_model"], attended: Float[Tensor, "row d_heads"]
) -> Float[Tensor, "row d_model"]:
    """The block's output from its input and what its heads read."""
    x = x + linear(attended, layer.out)
    h = rms_norm(x, (x.shape[-1],), layer.mlp_norm, w.eps)
    return x + linear(silu(linear(h, layer.gate)) * linear(h, layer.up), layer.down, layer.down_bias)


def _rotate(x: Float[Tensor, "row heads d"], cos: Tensor, sin: Tensor) -> Float[Tensor, "row heads d"]:
    return x * cos + x.roll(x.shape[-1] // 2, -1) * sin


def _check(model: PreTrainedModel) -> None:
    """BadInput where the model's forward has something this one would leave out, and silently be wrong."""
    config = model.config
    act = getattr(config, "hidden_act", None)
    biases = [
        n for n, _ in model.named_parameters() if n.endswith(".bias") and not re.search(r"\.([qkv]|down)_proj\.", n)
    ]
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    parts = {
        f"model type {config.model_type}": config.model_type not in ("llama", "qwen2"),
        f"activation {act}": act != "silu",
        f"rotary embedding {rope}": rope in ("dynamic", "longrope"),
        f"biases {biases[:3]}": bool(biases),
        "sliding windows": "sliding_attention" in (getattr(config, "layer_types", None) or ()),
    }
    strange = [what for what, is_there in parts.items() if is_there]
    if strange:
        do = "sample from a plain Llama or Qwen2, or use the model's own `generate`"
        raise BadInput(f"the decode loop cannot do {', '.join(strange)}", where="sample", do=do)
