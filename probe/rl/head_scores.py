"""What does the output head make of completion tokens, with a gradient, where a table of logits would not fit?

    logprob_y = x_y - log sum_v e^(x_v)     entropy = -sum_v p_v log p_v     x = logits / T, in fp32

Tokens go through the head a few at a time; where there is more than one portion, its logits are thrown away and made
again in the backward pass (checkpointing, 1604.06174), so that no more than one portion of them ever exists. On CUDA
operands in half precision stay, and their product is fp32: bf16 logits would move a log-prob by up to .06 nats.
Without a gradient, and for margins and ranks: `probe.tokens.stream`.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from probe.models.hooks.anatomy import Anatomy

LOGITS = {"cpu": 2**24, "cuda": 2**27}  # of a portion: 64 and 512 MB in fp32, and about three times that backwards


def head_scores(
    hidden: Float[Tensor, "token d_model"],
    parts: Anatomy,
    targets: Int[Tensor, "token"],
    temperature: float,
    *,
    entropy: bool = True,
    logits: int | None = None,
) -> tuple[Float[Tensor, "token"], Float[Tensor, "token"]]:
    """Log-prob of every target (with gradient) and entropy (without; 0 where not wanted), nats, fp32.

    `hidden` are states after the final norm; at most `logits` logits exist at once [as the device has room for].
    """
    most = logits or LOGITS.get(hidden.device.type, LOGITS["cuda"])
    size = max(1, most // parts.head_weight.shape[0])
    if len(hidden) <= size:
        return _scores(hidden, targets, parts, temperature, entropy)
    how: Any = (parts, temperature, entropy)
    portions = zip(hidden.split(size), targets.split(size), strict=True)
    if torch.is_grad_enabled():
        found = [checkpoint(_scores, h, y, *how, use_reentrant=False) for h, y in portions]
    else:
        found = [_scores(h, y, *how) for h, y in portions]
    chosen, uncertain = zip(*found, strict=True)
    return torch.cat(chosen), torch.cat(uncertain)


def _scores(
    hidden: Tensor, targets: Tensor, parts: Anatomy, temperature: float, entropy: bool
) -> tuple[Tensor, Tensor]:
    logp = torch.log_softmax(_logits(hidden, parts).float() / temperature, -1)
    chosen = logp.gather(-1, targets[:, None]).squeeze(-1)
    if not entropy:
        return chosen, torch.zeros_like(chosen)
    with torch.no_grad():
        return chosen, -(logp.exp() * logp).sum(-1)


def _logits(hidden: Tensor, parts: Anatomy) -> Tensor:
    plain = parts.head_bias is None and parts.softcap is None and parts.scale == 1
    if not (plain and hidden.is_cuda):
        return parts.logits(hidden)
    dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else parts.head_weight.dtype
    if dtype not in (torch.bfloat16, torch.float16):
        return parts.logits(hidden)
    return _WideProduct.apply(hidden.to(dtype), parts.head_weight.to(dtype))


class _WideProduct(torch.autograd.Function):
    """h W^T of operands in half precision, in fp32; gradients in half precision, as everywhere else in the model."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(hidden, weight)
        return torch.mm(hidden, weight.t(), out_dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        hidden, weight = ctx.saved_tensors
        gradient = gradients[0].to(hidden.dtype)
        with torch.autocast("cuda", enabled=False):
            to_hidden = gradient @ weight if ctx.needs_input_grad[0] else None
            return to_hidden, gradient.t() @ hidden if ctx.needs_input_grad[1] else None
