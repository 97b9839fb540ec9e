"""What do a dictionary's products and their gradients cost when only the active (row, latent) pairs are multiplied?

    h[p]          = z[row p] . W_enc[latent p] + b_enc[latent p]       read from the dense `pre`, at pairs alone
    x^[r]         = sum over pairs p of row r:     f[p] W_dec[latent p]
    dL/df[p]      = G[row p] . W_dec[latent p]                         G = dL/dx^                    [row w]
    dL/dW_dec[j]  = sum over pairs p of latent j:  f[p] G[row p]
    dL/dW_enc[j]  = sum over pairs p of latent j:  dL/dh[p] z[row p]
    dL/db_dec     = - sum over j of dL/db_enc[j] W_enc[j]              by way of z = y - b_dec

Every sum over pairs is one `embedding_bag`: bags of latents over rows of W_dec going forward, bags of rows over G or z,
the pairs sorted by latent, going back. The one dense product is `pre` (once a step, without a gradient of its own).
Weights are [latent w]: w = d for one model, model x d laid flat for several. Rows `z` are data: no gradient reaches y.
Gradients equal those of dense autograd, in the tests. Left out: bfloat16 (embedding_bag's fast path is fp32).
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

from probe.dictionaries.activation import Latents
from probe.dictionaries.fitting.pairs import Pairs

AtPairs = Float[Tensor, "pair"]
Flat = Float[Tensor, "row w"]
Weights = Float[Tensor, "latent w"]


def asked(
    pre: Latents, z: Flat, W_enc: Weights, b_enc: Float[Tensor, "latent"], b_dec: Float[Tensor, "w"], at: Pairs
) -> AtPairs:
    """What each pair is asked for: `pre` = z W_enc' + b_enc at the pairs, z = y - b_dec; its gradient is sparse."""
    return _Asked.apply(pre, z, W_enc, b_enc, b_dec, at)


def decode(f: AtPairs, W_dec: Weights, at: Pairs) -> Flat:
    """What the active latents add up to in every row, before b_dec."""
    summed = _bags(at.latent, W_dec.detach(), at.starts, f)  # its own backward is dL/df
    return _Credited.apply(summed, W_dec, f.detach(), at)


class _Asked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pre: Latents, z: Flat, W_enc: Weights, b_enc: Tensor, b_dec: Tensor, at: Pairs) -> AtPairs:
        ctx.save_for_backward(z, W_enc)
        ctx.at = at
        return pre.view(-1)[at.place]

    @staticmethod
    def backward(ctx: Any, *grads: AtPairs) -> tuple[Tensor | None, ...]:
        (z, W_enc), at, (g,) = ctx.saved_tensors, ctx.at, grads
        g_bias = torch.bincount(at.latent, weights=g, minlength=at.n_latents).to(g)
        return None, None, _by_latent(z, g, at), g_bias, -(g_bias @ W_enc), None


class _Credited(torch.autograd.Function):
    """The identity on x^; going back, W_dec gets its share."""

    @staticmethod
    def forward(ctx: Any, summed: Flat, W_dec: Weights, f: AtPairs, at: Pairs) -> Flat:
        ctx.save_for_backward(f)
        ctx.at = at
        return summed.view_as(summed)

    @staticmethod
    def backward(ctx: Any, *grads: Flat) -> tuple[Tensor | None, ...]:
        (f,), (G,) = ctx.saved_tensors, grads
        return G, _by_latent(G.contiguous(), f, ctx.at), None, None


def _by_latent(x: Flat, weight: AtPairs, at: Pairs) -> Weights:
    return _bags(at.row[at.order], x, at.latent_starts, weight[at.order])


def _bags(index: Int[Tensor, "pair"], table: Tensor, starts: Int[Tensor, "bag_and_end"], weight: AtPairs) -> Tensor:
    return embedding_bag(index, table, starts, mode="sum", per_sample_weights=weight, include_last_offset=True)
