"""What does a model predict, where its vocabulary is too large for a table of logits? Streamed over tiles, exact.

    x_v     = softcap * tanh(scale (h W^T + b)_v / softcap) / T           without a softcap scale (h W^T + b)_v / T
    m, s, u = max_v x_v,  sum_v e^(x_v - m),  sum_v (x_v - m) e^(x_v - m)
    logprob_y = x_y - m - log s     entropy = log s - u / s     margin = x_(1) - x_(2)     rank_y = #{v: x_v > x_y}
    KL(p||q)  = c / s_p - log s_p + log s_q      c = sum_v e^(x_v - m_p) ((x_v - m_p) - (z_v - m_q)), z the logits of q

In nats. One tile of logits (two for a KL) is all that ever exists: some 1024 tokens times 2048 words. Each token keeps
the m, s, u, second maximum and count of the words seen so far, in float64; the maximum is taken off before anything is
summed, so that a large common offset of the logits costs no digits and nothing overflows. The vocabulary is the outer
loop, so that half-precision weights are made fp32 once. Products are fp32 (float64 if the operands are), never less:
bf16 logits would shift an entropy by up to .12 nats. On CUDA half-precision operands stay, and their product is fp32.

The rank needs the target's logit before its tile comes. Until then the words are compared with a dot product, which
differs from the tile's own value by rounding (about 1e-6); from then on with that value, and where it is the maximum
the rank is 0. So a target never counts against itself, and rank 0 is always the first choice.
Left out: gradients, samples, the top k.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.errors import BadInput

TILES = {"cpu": (2048, 2**21), "cuda": (2**14, 2**24)}  # words, and logits: 8 and 64 MB, twice with exponentials
CHUNK = 64  # words of which only the largest takes part in the search for the second maximum

Part = tuple[int, Float[Tensor, "word d_model"], Float[Tensor, "word"] | None]  # first word, weights, biases


@dataclass(frozen=True)
class Head:
    """An output head of any floating dtype: softcap * tanh(scale (h W^T + b) / softcap)."""

    weight: Float[Tensor, "d_vocab d_model"]
    bias: Float[Tensor, "word"] | None = None
    softcap: float | None = None
    scale: float = 1.0


class StreamScores(NamedTuple):
    """Of each token: log-prob of its target, entropy, margin (nats), and rank of the target (0 is the first choice)."""

    logprob: Float[Tensor, "token"]
    entropy: Float[Tensor, "token"]
    margin: Float[Tensor, "token"]
    rank: Int[Tensor, "token"]


@torch.no_grad()
def stream_scores(
    hidden: Float[Tensor, "token d_model"], head: Head, targets: Int[Tensor, "target"], *, temperature: float = 1.0
) -> StreamScores:
    """What the head makes of every token, given the states after the final norm; on the head's device.

    BadInput: shapes that do not fit, targets outside of the vocabulary, a vocabulary of one word.
    """
    _check(hidden, head, temperature)
    _check_targets(hidden, head, targets)
    hidden, targets = hidden.to(head.weight.device), targets.to(head.weight.device)
    dtype = _dtype(hidden, head.weight)
    n = len(hidden)
    words, rows = tile(head, n)
    logits, exps, now = _space(head, dtype, rows * words, rows * words, 5 * n)
    first, second, total, weighted, above = now = now.view(5, n)
    at_target, seen = _at_targets(hidden, head, targets, temperature, dtype, rows), _nothing(now)
    for part in _parts(hidden, head, dtype, words):
        for tokens in _slices(n, rows):
            x = _logits(hidden[tokens], part, head, temperature, logits)
            e = exps[: x.numel()].view_as(x)
            _look_up(x, targets[tokens] - part[0], at_target[tokens])
            torch.sum(torch.gt(x, at_target[tokens, None], out=e), -1, out=above[tokens])
            first[tokens], second[tokens] = _top_two(x)
            torch.exp(x.sub_(first[tokens, None]), out=e)
            torch.sum(e, -1, out=total[tokens])
            torch.sum(x.mul_(e), -1, out=weighted[tokens])
        seen = _joined(torch.stack([seen, now]))
    first, second, total, weighted, above = seen
    return StreamScores(
        logprob=(at_target - first - total.log()).to(dtype),
        entropy=(total.log() - weighted / total).to(dtype),
        margin=(first - second).to(dtype),
        rank=above.long().masked_fill_(at_target >= first, 0),
    )


@torch.no_grad()
def stream_kl(
    hidden_p: Float[Tensor, "token d_model_p"],
    head_p: Head,
    hidden_q: Float[Tensor, "token_q d_model_q"],
    head_q: Head,
    *,
    temperature: float = 1.0,
) -> Float[Tensor, "token"]:
    """KL(p || q) of every token in nats, never negative, 0 for equal operands; on the device of p's head.

    BadInput: shapes that do not fit, two different vocabularies.
    """
    _check(hidden_p, head_p, temperature)
    _check(hidden_q, head_q, temperature)
    n = len(hidden_p)
    if len(head_p.weight) != len(head_q.weight) or n != len(hidden_q):
        what = f"{n} and {len(hidden_q)} states, {len(head_p.weight)} and {len(head_q.weight)} words"
        raise BadInput(what, where="stream_kl", do="compare the same tokens over the same vocabulary")
    hidden_p, hidden_q = hidden_p.to(head_p.weight.device), hidden_q.to(head_q.weight.device)
    dtype = _dtype(hidden_p, head_p.weight, hidden_q, head_q.weight)
    words, rows = tile(head_p, n)
    logits_p, exps, now = _space(head_p, dtype, rows * words, rows * words, 5 * n)
    (logits_q,) = _space(head_q, dtype, rows * words)
    first_p, first_q, total_p, total_q, apart = now = now.view(5, n)
    seen = _nothing(now)
    both_parts = (_parts(hidden_p, head_p, dtype, words), _parts(hidden_q, head_q, dtype, words))
    for part_p, part_q in zip(*both_parts, strict=True):
        for tokens in _slices(n, rows):
            x = _logits(hidden_p[tokens], part_p, head_p, temperature, logits_p)
            z = _logits(hidden_q[tokens], part_q, head_q, temperature, logits_q).to(x.device)
            x.sub_(torch.amax(x, -1, out=first_p[tokens])[:, None])
            z.sub_(torch.amax(z, -1, out=first_q[tokens])[:, None])
            e = torch.exp(x, out=exps[: x.numel()].view_as(x))
            torch.sum(e, -1, out=total_p[tokens])
            torch.sum(x.sub_(z).mul_(e), -1, out=apart[tokens])
            torch.sum(z.exp_(), -1, out=total_q[tokens])
        seen = _joined_pair(torch.stack([seen, now]))
    first_p, first_q, total_p, total_q, apart = seen
    return (apart / total_p - total_p.log() + total_q.log()).clamp_(min=0).to(dtype)


def _joined(two: Float[Tensor, "2 5 token"]) -> Float[Tensor, "5 token"]:
    """What two parts of the vocabulary leave, as one: sums are taken over to the larger maximum."""
    first, second, total, weighted, above = two.unbind(1)
    shift = first - first.amax(0)
    scale = shift.exp()
    return torch.stack(
        [
            first.amax(0),
            torch.maximum(first.amin(0), second.amax(0)),
            (scale * total).sum(0),
            (scale * (weighted + shift * total)).sum(0),
            above.sum(0),
        ]
    )


def _joined_pair(two: Float[Tensor, "2 5 token"]) -> Float[Tensor, "5 token"]:
    """The same for two models: of p and q the maximum and the sum, and the weighted difference."""
    first_p, first_q, total_p, total_q, apart = two.unbind(1)
    shift_p, shift_q = first_p - first_p.amax(0), first_q - first_q.amax(0)
    return torch.stack(
        [
            first_p.amax(0),
            first_q.amax(0),
            (shift_p.exp() * total_p).sum(0),
            (shift_q.exp() * total_q).sum(0),
            (shift_p.exp() * (apart + (shift_p - shift_q) * total_p)).sum(0),
        ]
    )


def _nothing(now: Float[Tensor, "5 token"]) -> Float[Tensor, "5 token"]:
    """What no words leave: the two maxima as low as can be, the sums 0."""
    seen = torch.zeros_like(now, dtype=torch.float64)
    seen[:2] = torch.finfo(torch.float64).min
    return seen


def tile(head: Head, n: int) -> tuple[int, int]:
    """(words, tokens) of a tile."""
    words, logits = TILES.get(head.weight.device.type, TILES["cpu"])
    words = min(words, len(head.weight))
    return words, max(1, min(logits // words, n))


def _slices(n: int, rows: int) -> Iterator[slice]:
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def _space(head: Head, dtype: torch.dtype, *sizes: int) -> tuple[Tensor, ...]:
    return tuple(torch.empty(size, dtype=dtype, device=head.weight.device) for size in sizes)


def _dtype(*operands: Tensor) -> torch.dtype:
    """That of products and sums."""
    return torch.float64 if any(operand.dtype == torch.float64 for operand in operands) else torch.float32


def _parts(hidden: Tensor, head: Head, dtype: torch.dtype, words: int) -> Iterator[Part]:
    """The head in parts of the vocabulary, in the dtype that the product takes."""
    weight = head.weight
    keep = weight.dtype == dtype or (weight.is_cuda and weight.dtype == hidden.dtype)
    buffer = None if keep else torch.empty(min(words, len(weight)), weight.shape[1], dtype=dtype, device=weight.device)
    for start in range(0, len(weight), words):
        part = weight[start : start + words]
        bias = None if head.bias is None else head.bias[start : start + words]
        yield start, part if buffer is None else buffer[: len(part)].copy_(part), bias


def _logits(
    hidden: Float[Tensor, "part d_model"], part: Part, head: Head, temperature: float, space: Float[Tensor, "size"]
) -> Float[Tensor, "part word"]:
    """A tile of logits, written into `space`."""
    _, weight, bias = part
    x = space[: len(hidden) * len(weight)].view(len(hidden), len(weight))
    gain, hidden = _gain(head, temperature), hidden.to(weight.dtype)
    if weight.dtype == x.dtype:
        x.addmm_(hidden, weight.T, beta=0, alpha=gain)
    else:
        torch.mm(hidden, weight.T, out_dtype=x.dtype, out=x).mul_(gain)
    return _finished(x, bias, head, temperature)


def _gain(head: Head, temperature: float) -> float:
    return head.scale / (head.softcap or temperature)


def _finished(x: Tensor, bias: Tensor | None, head: Head, temperature: float) -> Tensor:
    """Bias, softcap and temperature, in place, of a product that has its gain."""
    if bias is not None:
        x.add_(bias, alpha=_gain(head, temperature))
    return x if head.softcap is None else x.tanh_().mul_(head.softcap / temperature)


def _at_targets(
    hidden: Float[Tensor, "token d_model"],
    head: Head,
    targets: Int[Tensor, "token"],
    temperature: float,
    dtype: torch.dtype,
    rows: int,
) -> Float[Tensor, "token"]:
    """The logit of each target by a dot product."""
    (logits,) = _space(head, dtype, len(hidden))
    for tokens in _slices(len(hidden), rows):
        rows_of = head.weight[targets[tokens]].to(dtype).mul_(hidden[tokens])
        bias = None if head.bias is None else head.bias[targets[tokens]]
        logits[tokens] = _finished(rows_of.sum(-1).mul_(_gain(head, temperature)), bias, head, temperature)
    return logits


def _look_up(x: Float[Tensor, "part word"], at: Int[Tensor, "part"], values: Float[Tensor, "part"]) -> None:
    """Where the target is in this tile, its own value takes the place of the one found before."""
    inside = (at >= 0) & (at < x.shape[1])
    value = x.gather(1, at.clamp(0, x.shape[1] - 1)[:, None])[:, 0]
    values.copy_(torch.where(inside, value, values))


def _top_two(x: Float[Tensor, "part word"]) -> tuple[Float[Tensor, "part"], Float[Tensor, "part"]]:
    """The two largest of each row; equal ones count as two.

    The second is the largest of another chunk or the second of the same: only one chunk is looked at word by word.
    """
    if x.shape[1] % CHUNK:
        return _two_of_few(x)[:2]
    largest = x.view(len(x), -1, CHUNK).amax(-1)
    first, other, at = _two_of_few(largest)
    chunk = at + torch.arange(0, largest.numel(), largest.shape[1], device=x.device)
    _, same, _ = _two_of_few(x.view(-1, CHUNK).index_select(0, chunk))
    return first, torch.maximum(other, same)


def _two_of_few(
    x: Float[Tensor, "part word"],
) -> tuple[Float[Tensor, "part"], Float[Tensor, "part"], Int[Tensor, "part"]]:
    """The two largest, and where the first is: it is taken out, and put back."""
    first, at = x.max(-1, keepdim=True)
    second = x.scatter_(1, at, torch.finfo(x.dtype).min).amax(-1)
    x.scatter_(1, at, first)
    return first[:, 0], second, at[:, 0]


def _check(hidden: Tensor, head: Head, temperature: float) -> None:
    weight, bias = head.weight, head.bias
    shapes = f"states {tuple(hidden.shape)}, weight {tuple(weight.shape)}"
    if hidden.ndim != 2 or weight.ndim != 2 or hidden.shape[1] != weight.shape[1]:
        raise BadInput(shapes, where="stream", do="give [token d_model] and [d_vocab d_model]")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise BadInput(f"{shapes}, bias {tuple(bias.shape)}", where="stream", do="give one bias a word")
    if not temperature > 0 or not math.isfinite(temperature):
        raise BadInput(f"temperature {temperature} is not positive", where="stream", do="score greedy text at T = 1")
    if head.softcap is not None and not head.softcap > 0:
        raise BadInput(f"softcap {head.softcap} is not positive", where="stream", do="give None for no softcap")


def _check_targets(hidden: Tensor, head: Head, targets: Tensor) -> None:
    d_vocab, n = len(head.weight), len(hidden)
    if d_vocab < 2 or targets.shape != (n,) or not all(0 <= t < d_vocab for t in targets.tolist()):
        what = f"{len(targets)} targets for {n} states in a vocabulary of {d_vocab}: {targets.tolist()[:5]}"
        raise BadInput(what, where="stream_scores", do="give one token id of the vocabulary for every state")
