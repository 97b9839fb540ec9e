"""Which (row, latent) pairs are active, found exactly and without sorting all of a batch?

    largest_of_rows(pre, k)         pairs where pre >= the k-th largest of its row, and > 0          (TopK)
    largest_of_batch(pre, count)    pairs where pre >= the count-th largest of the batch, and > 0    (BatchTopK)
    above(pre, floor)               pairs where pre > floor, one floor a latent                      (JumpReLU)

`pre` is [row latent]; a pair is known by its place in `pre` laid flat, ascending, so pairs stand in the order of rows.
A cheap lower bound of the edge (the k-th largest of the maxima of groups of latents; a quantile of every STRIDE-th
number) leaves few candidates, and the edge is found among these: the same pairs as a full topk, but that numbers tied
at the edge all count. `Pairs` also holds the same pairs by latent, which is what weight gradients are summed over.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probe.dictionaries.activation import Latents

GROUP = 8  # latents whose maximum is taken, at most
STRIDE = 61  # no common divisor with numbers of latents, so that all of them are looked at
SPARE = 1.15  # candidates over what is wanted

Places = Int[Tensor, "pair"]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Active pairs in the order of rows (`starts`: where each row begins) and, by `order`, in that of latents."""

    place: Places
    row: Int[Tensor, "pair"]
    latent: Int[Tensor, "pair"]
    starts: Int[Tensor, "row_and_end"]
    order: Int[Tensor, "pair"]
    latent_starts: Int[Tensor, "latent_and_end"]

    @property
    def rows(self) -> int:
        return len(self.starts) - 1

    @property
    def n_latents(self) -> int:
        return len(self.latent_starts) - 1

    def __len__(self) -> int:
        return len(self.place)


def pairs(place: Places, rows: int, n_latents: int) -> Pairs:
    """The pairs at those places of a [row latent] table laid flat."""
    row = torch.div(place, n_latents, rounding_mode="floor")
    latent = place - row * n_latents
    small = latent.to(torch.int16 if n_latents < 2**15 else torch.int32)  # sorted in fewer passes
    return Pairs(place, row, latent, _starts(row, rows), small.sort(stable=True).indices, _starts(latent, n_latents))


def some(chosen: Pairs, which: Bool[Tensor, "pair"]) -> Pairs:
    """Those of the pairs."""
    return pairs(chosen.place[which], chosen.rows, chosen.n_latents)


def largest_of_rows(pre: Latents, k: int) -> Places:
    """The `k` largest of each row, as far as they are above 0."""
    rows, n = pre.shape
    if k >= n:
        return _where(pre > 0)
    group = max(1, min(GROUP, n // (4 * k)))
    tops = pre[:, : n // group * group].view(rows, group, n // group).amax(1)  # a part of the row gives a bound too
    bound = _kth(tops, k).clamp(min=torch.finfo(pre.dtype).tiny)
    place = _where(pre >= bound[:, None])
    row = torch.div(place, n, rounding_mode="floor")
    value, starts = pre.view(-1)[place], _starts(row, rows)
    widest = int(starts.diff().max()) if len(place) else 0
    if widest <= k:
        return place
    table = pre.new_full((rows, widest), -torch.inf)
    table[row, torch.arange(len(place), device=pre.device) - starts[row]] = value
    return place[value >= _kth(table, k)[row]]


def largest_of_batch(pre: Latents, count: int) -> Places:
    """The `count` largest of all numbers, as far as they are above 0."""
    flat, tiny = pre.view(-1), torch.finfo(pre.dtype).tiny
    if count >= len(flat):
        return _where(pre > 0)
    sample = flat[::STRIDE]
    expected = count / len(flat) * len(sample)
    rank = int(SPARE * expected + 3 * expected**0.5) + 1
    bound = float(_kth(sample[None], rank)) if rank < len(sample) else tiny
    place = _where(flat >= max(bound, tiny))
    if len(place) < count and bound > tiny:
        place = _where(flat >= tiny)
    if len(place) <= count:
        return place
    value = flat[place]
    return place[value >= _kth(value[None], count)]


def above(pre: Latents, floor: Float[Tensor, "latent"]) -> Places:
    """Where `pre` is above the latent's floor."""
    return _where(pre > floor)


def _starts(of: Int[Tensor, "pair"], n: int) -> Int[Tensor, "n_and_end"]:
    return torch.nn.functional.pad(torch.bincount(of, minlength=n).cumsum(0), (1, 0))


def _kth(x: Float[Tensor, "row n"], k: int) -> Float[Tensor, "row"]:
    """The k-th largest of each row. numpy's partition takes a third of the time of torch's topk on a CPU."""
    if x.is_cuda:
        return x.topk(k, sorted=False).values.amin(-1)
    return torch.from_numpy(np.partition(x.numpy(), x.shape[1] - k, axis=1)[:, x.shape[1] - k].copy())


def _where(mask: Tensor) -> Places:
    """Places of what is true, ascending. On a CPU numpy takes half of torch's time."""
    return mask.view(-1).nonzero()[:, 0] if mask.is_cuda else torch.from_numpy(np.flatnonzero(mask.numpy()))
