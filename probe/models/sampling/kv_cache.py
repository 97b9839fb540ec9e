"""What does one new token per row attend to? The keys and values of the rows being sampled, laid out for a CPU.

    softmax(q k / sqrt(d) + mask) v       one query per head and row, over the slots written so far

A batch of single-token products is a batch of tiny matrices, which matrix libraries do badly. Where every head has keys
of its own (the organisms) the batch is therefore innermost in memory and the product is written out: 2-5 times faster
than the fused kernel at their widths. Where several heads share keys (grouped queries) a product has several rows, and
`bmm` over [slot d] matrices is 2-4 times faster than writing it out at more than 20 slots. Both layouts have the same
shape, [slot d kv_heads batch]; only the strides differ.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Part = Float[Tensor, "slot d kv_heads batch"]
Cache = list[tuple[Part, Part]]


def share_out(part: Float[Tensor, "prompt kv_heads key d"], n_samples: int, max_new: int, grouped: bool) -> Part:
    """The keys or values of prompts, repeated for each sample, with room for `max_new` more slots."""
    n, kv_heads, longest, d = part.shape
    room, batch = longest + max_new, n * n_samples
    if grouped:
        grown = part.new_empty((batch, kv_heads, room, d)).permute(2, 3, 1, 0)
    else:
        grown = part.new_empty((room, d, kv_heads, batch))
    grown[:longest] = part.permute(2, 3, 1, 0).repeat_interleave(n_samples, -1)
    return grown


def keep_rows(part: Part, keep: Bool[Tensor, "batch"]) -> Float[Tensor, "slot d kv_heads kept"]:
    """The rows under `keep`, in the layout they have."""
    batch_innermost = part.stride(-1) == 1
    return part[..., keep] if batch_innermost else part.permute(3, 2, 0, 1)[keep].permute(2, 3, 1, 0)


def attend(
    q: Float[Tensor, "batch heads d"], k: Part, v: Part, mask: Float[Tensor, "slot 1 batch"] | None
) -> Float[Tensor, "batch heads*d"]:
    """What each head of each row's new token reads. `mask` is added to the scores: 0, or -inf where not to look."""
    batch, heads, d = q.shape
    q = q * d**-0.5
    if heads == k.shape[2]:
        scores = (k * q.permute(2, 1, 0)).sum(1)
        p = (scores if mask is None else scores + mask).softmax(0)
        return (p[:, None] * v).sum(0).permute(2, 1, 0).reshape(batch, -1)
    rows = batch * k.shape[2]
    scores = torch.bmm(q.reshape(rows, -1, d), k.permute(3, 2, 1, 0).reshape(rows, d, -1))
    if mask is not None:
        scores = scores + mask.permute(2, 1, 0).expand(-1, k.shape[2], -1).reshape(rows, 1, -1)
    return torch.bmm(scores.softmax(-1), v.permute(3, 2, 0, 1).reshape(rows, -1, d)).view(batch, -1)
