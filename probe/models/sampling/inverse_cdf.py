"""Which token does a uniform draw choose, what was its log-prob, and how uncertain was the model?

    token    = the first t with cdf(t) >= u cdf(d_vocab),   p = softmax(logits), summed in float64: no tail is lost
    logprob  = log p(token)          entropy = -sum_t p(t) log p(t)          nats, in float32

Inverse CDF, so that a draw addressed by the caller decides alone. Past TILE tokens of vocabulary the CDF is made tile
by tile and only the tile that is hit is looked through: nothing of shape [batch d_vocab] is ever in float64.

Left out: top-k, top-p, penalties. Distributions are never truncated here: log-probs would no longer be the model's.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

TILE = 8192  # tokens of the vocabulary


def choose(
    logits: Float[Tensor, "batch d_vocab"], u: Float[Tensor, "batch"] | None
) -> tuple[Int[Tensor, "batch"], Float[Tensor, "batch"], Float[Tensor, "batch"]]:
    """Token, its log-prob and the entropy; greedy, and the first of equals, where `u` is None."""
    logp = torch.log_softmax(logits.float(), -1)
    p = logp.exp()
    entropy = -(p * logp).sum(-1)
    token = logits.argmax(-1) if u is None else _inverse_cdf(p, u)
    return token, logp.gather(-1, token[:, None]).squeeze(-1), entropy


def _inverse_cdf(p: Float[Tensor, "batch d_vocab"], u: Float[Tensor, "batch"]) -> Int[Tensor, "batch"]:
    d_vocab, u = p.shape[-1], u.double()[:, None]
    if d_vocab <= TILE:
        cdf = p.double().cumsum(-1)
        token = torch.searchsorted(cdf, u * cdf[:, -1:])
    else:
        mass = torch.stack([tile.sum(-1, dtype=torch.float64) for tile in p.split(TILE, -1)], -1)
        cdf = mass.cumsum(-1)
        at = u * cdf[:, -1:]
        tile = torch.searchsorted(cdf, at).clamp_max(mass.shape[-1] - 1)
        places = (tile * TILE + torch.arange(TILE, device=p.device)).clamp_max(d_vocab - 1)
        inside = p.gather(-1, places).double().cumsum(-1)
        before = cdf.gather(-1, tile) - mass.gather(-1, tile)
        token = tile * TILE + torch.searchsorted(inside, at - before).clamp_max(TILE - 1)
    return token.squeeze(-1).clamp_max(d_vocab - 1)  # NaN sorts past the end; the caller sees it in the log-prob
