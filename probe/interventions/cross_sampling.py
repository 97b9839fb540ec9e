"""How few tokens carry what RL did? One model writes, and the other steps in where the two part most.

    D_t = KL(own || other) of the next token, on the text so far        nats, at T = 1
    token t is the other's where D_t >= threshold, else the writer's own, from the same uniform draw

Threshold infinity: the writer's own text; 0: the other's. `threshold_for` turns a budget (share of tokens) into a
threshold, on the writer's own texts; how many were swapped in the end is told, for texts change as they are written.
The null swaps as many tokens at places that know nothing of D (`Swap.places`). After 2603.22446, who rank places by
Jensen-Shannon divergence: swapping less than 4 % of the tokens recovers RL. Any causal model; each keeps its own cache
of the common text. Left out: several devices at once, and dropping finished rows from a batch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from probe.errors import BadInput
from probe.models.sampling.batches import by_length, over_devices
from probe.models.sampling.inverse_cdf import choose
from probe.models.sampling.padding import left_padded

SMALLEST = torch.finfo(torch.float32).tiny  # nats: where the two agree exactly, a swap changes nothing and is none
Row = tuple[Tensor, Tensor, Tensor]  # ids, swapped, divergence of one row, to its end


@dataclass(frozen=True, eq=False)
class Crossed:
    """What was written behind the prompts, padded past the end, and where the other stepped in."""

    ids: Int[Tensor, "row pos"]
    lengths: Int[Tensor, "row"]  # with the end
    stopped: Bool[Tensor, "row"]  # whether it ended by itself
    swapped: Bool[Tensor, "row pos"]
    divergence: Float[Tensor, "row pos"]  # KL(own || other) in nats, 0 behind the end

    @property
    def share(self) -> float:
        """Of the tokens that were written, those that are the other's."""
        return int(self.swapped.sum()) / max(1, int(self.lengths.sum()))

    def texts(self) -> list[list[int]]:
        """The ids of each row up to its end."""
        return self._cut(self.ids)

    def parted(self) -> list[list[float]]:
        """The divergence at each token of each row."""
        return self._cut(self.divergence)

    def _cut(self, block: Tensor) -> list[list]:
        return [row[:length] for row, length in zip(block.tolist(), self.lengths.tolist(), strict=True)]


@dataclass(frozen=True, eq=False)
class Swap:
    """When the other steps in: where D reaches the row's `threshold`; or, given `places`, where its draw is below."""

    threshold: Float[Tensor, "row"] | float = math.inf
    places: Float[Tensor, "row pos"] | None = None  # draws in (0, 1)
    share: float = 0.0

    def rows(self, rows: list[int], device: torch.device) -> "Swap":
        """The same of some rows."""
        threshold = self.threshold[rows].to(device) if isinstance(self.threshold, Tensor) else self.threshold
        return Swap(threshold, None if self.places is None else self.places[rows].to(device), self.share)

    def at(self, place: int, apart: Float[Tensor, "row"]) -> Bool[Tensor, "row"]:
        """Whose token is swapped at a place."""
        return apart >= self.threshold if self.places is None else self.places[:, place] < self.share


NONE = Swap()


def cross_sample(
    own: PreTrainedModel,
    other: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    uniforms: Float[Tensor, "row pos"] | None,
    swap: Swap = NONE,
    *,
    max_new: int,
    stop: Sequence[int],
    pad: int,
    batch: int = 64,
    cached: bool = True,
) -> Crossed:
    """Write `max_new` tokens at most behind each prompt; `uniforms` None: greedy. A row ends after a token in `stop`.

    `batch` rows at a time, halved where memory runs out. BadInput for no prompts, models of different vocabularies, or
    draws of another shape.
    """
    _check(own, other, prompts, (uniforms, swap.places), max_new, swap.threshold)

    def run(_: None, rows: list[int]) -> list[Row]:
        two = tuple(_Reader(model, cached) for model in (own, other))
        draws = None if uniforms is None else uniforms[rows]
        return _write(two, [prompts[row] for row in rows], draws, swap.rows(rows, own.device), max_new, (stop, pad))

    lengths = [len(prompt) for prompt in prompts]
    found = over_devices([None], by_length(lengths, batch), run, lengths=[length + max_new for length in lengths])
    return _assembled(found, stop, pad)


def threshold_for(divergence: ArrayLike, budget: float) -> float:
    """What `budget` (a share in [0, 1]) of the tokens `divergence` [token] reach: infinity for 0, 0 for 1.

    Never below the smallest number where some tokens are to stay.
    """
    if not 0 <= budget <= 1:
        raise BadInput(f"a budget of {budget}", where="cross-sampling", do="give a share of tokens in [0, 1]")
    if budget in (0, 1):
        return 0.0 if budget else math.inf
    return max(SMALLEST, float(np.quantile(np.asarray(divergence, dtype=np.float64), 1 - budget)))


class _Reader:
    """One model reading a text that grows by a token: its logits, and its cache."""

    def __init__(self, model: PreTrainedModel, cached: bool) -> None:
        self.model, self.cache = model, DynamicCache(config=model.config) if cached else None

    def next(self, ids: Int[Tensor, "row pos"], mask: Int[Tensor, "row pos"]) -> Float[Tensor, "row d_vocab"]:
        """Logits behind the last token, in float32."""
        seen = 0 if self.cache is None else self.cache.get_seq_length()
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, seen:]
        device = self.model.get_input_embeddings().weight.device
        found = self.model(
            input_ids=ids[:, seen:].to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            past_key_values=self.cache,
            use_cache=self.cache is not None,
            logits_to_keep=1,
        )
        return found.logits[:, -1].float()


@torch.inference_mode()
def _write(
    readers: tuple[_Reader, ...],
    prompts: Sequence[Sequence[int]],
    uniforms: Tensor | None,
    swap: Swap,
    max_new: int,
    ends: tuple[Sequence[int], int],
) -> list[Row]:
    """One batch, a token of every row at a time."""
    stop, pad = ends
    ids, mask = left_padded(prompts, pad, readers[0].model.device)
    start, stops = ids.shape[1], torch.tensor(list(stop), device=ids.device)
    running = torch.ones(len(prompts), dtype=torch.bool, device=ids.device)
    swaps, parted = [], []
    for place in range(max_new):
        mine, its = (reader.next(ids, mask).to(ids.device) for reader in readers)
        apart = _divergence(mine, its)
        steps_in = swap.at(place, apart)
        draw = None if uniforms is None else uniforms[:, place].to(ids.device)
        token = torch.where(steps_in, choose(its, draw)[0], choose(mine, draw)[0])
        swaps.append(steps_in & running)
        parted.append(torch.where(running, apart, 0.0))
        ids = torch.cat([ids, torch.where(running, token, pad)[:, None]], 1)
        mask = torch.cat([mask, running[:, None].to(mask.dtype)], 1)
        running = running & ~torch.isin(token, stops)
        if not running.any():
            break
    lengths = mask[:, start:].sum(1).tolist()
    blocks = [each.cpu() for each in (ids[:, start:], torch.stack(swaps, 1), torch.stack(parted, 1))]
    return [(i[:n], s[:n], d[:n]) for *rows, n in zip(*blocks, lengths, strict=True) for i, s, d in [rows]]


def _assembled(rows: list[Row], stop: Sequence[int], pad: int) -> Crossed:
    def padded(which: int, value: float) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence([row[which] for row in rows], True, value)

    lengths = torch.tensor([len(row[0]) for row in rows])
    stopped = torch.tensor([int(row[0][-1]) in set(stop) for row in rows])
    return Crossed(padded(0, pad), lengths, stopped, padded(1, False), padded(2, 0.0))


def _divergence(own: Float[Tensor, "row d_vocab"], other: Float[Tensor, "row d_vocab"]) -> Float[Tensor, "row"]:
    mine, its = own.log_softmax(-1), other.log_softmax(-1)
    return (mine.exp() * (mine - its)).sum(-1).clamp(min=0)


def _check(
    own: PreTrainedModel,
    other: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    draws: tuple[Tensor | None, ...],
    max_new: int,
    threshold: Tensor | float,
) -> None:
    sizes = [model.config.get_text_config().vocab_size for model in (own, other)]
    if sizes[0] != sizes[1]:
        what = f"vocabularies of {sizes[0]} and {sizes[1]} tokens"
        raise BadInput(what, where="cross-sampling", do="cross models of one family")
    if not prompts or not all(prompts) or max_new < 1 or bool(torch.as_tensor(threshold).isnan().any()):
        what = f"{len(prompts)} prompts, {max_new} new tokens, threshold {threshold}"
        raise BadInput(what, where="cross-sampling", do="give prompts with tokens, one new token at least, a number")
    for each in draws:
        if each is not None and tuple(each.shape) != (len(prompts), max_new):
            what = f"draws of shape {list(each.shape)} for {len(prompts)} prompts and {max_new} tokens"
            raise BadInput(what, where="cross-sampling", do="give one draw a row and new token")
