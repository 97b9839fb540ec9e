"""The same question as `transformers_sampler.generate`, where every prompt is answered many times, as GRPO asks it.

Each prompt is read once and its cache repeated over its samples; finished rows leave the batch; only the last state
goes through the head. The forward is the model's own, in transformers, with transformers' cache (with room to grow:
`cat` at every token would copy the whole cache each time); the choice of the token is `inverse_cdf`'s. So draws and
tokens are those of `generate`, log-probs too to rounding; the tests hold it to that on every architecture.

    groups = prompts, longest first, as many at a time as have `batch` rows; left-padded; out of memory halves them

Left out: several devices, and what `generate` leaves out besides.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from probe.models.hooks.anatomy import Anatomy, anatomy, positions
from probe.models.sampling.batches import OnRows, by_length, over_devices, silent
from probe.models.sampling.inverse_cdf import choose
from probe.models.sampling.organism_sampler import COMPACT_BELOW, Samples
from probe.models.sampling.padding import left_padded
from probe.models.sampling.transformers_sampler import Row, assemble, check_request, device_of

ROOM = 128  # tokens that a cache grows by


@torch.no_grad()
def sample_groups(
    model: PreTrainedModel,
    prompts: list[list[int]],
    *,
    n_samples: int,
    max_new: int,
    stop: Sequence[int],
    pad: int,
    uniforms: Float[Tensor, "rows pos"] | None,
    temperature: float = 1.0,
    batch: int = 64,
    on_rows: OnRows = silent,
) -> Samples:
    """As `probe.models.sampling.transformers_sampler.generate`; a group of more than `batch` rows is read again."""
    check_request(model, prompts, n_samples, max_new, pad, uniforms, temperature)
    each = min(n_samples, batch)
    groups = [(p, s, min(s + each, n_samples)) for p in range(len(prompts)) for s in range(0, n_samples, each)]
    lengths = [len(prompts[p]) for p, _, _ in groups]
    parts = anatomy(model)

    def run(worker: PreTrainedModel, chosen: list[int]) -> list[list[Row]]:
        some = [groups[g] for g in chosen]
        rows = [p * n_samples + s for p, first, last in some for s in range(first, last)]
        draws = None if uniforms is None else uniforms[rows].to(device_of(worker))
        sizes = [last - first for _, first, last in some]
        new = _Batch(worker, parts, [prompts[p] for p, _, _ in some], sizes, pad)
        made = new.written(max_new, stop, draws, temperature)
        ends = torch.tensor(sizes).cumsum(0).tolist()
        return [made[end - size : end] for end, size in zip(ends, sizes, strict=True)]

    most = [length + max_new for length in lengths]
    done = over_devices((model,), by_length(lengths, max(1, batch // each)), run, lambda n: on_rows(n * each), most)
    return assemble([row for group in done for row in group], max_new, pad)


class _Batch:
    """Rows being written: the cache and the mask of those that are still in it."""

    def __init__(
        self, model: PreTrainedModel, parts: Anatomy, prompts: list[list[int]], sizes: list[int], pad: int
    ) -> None:
        self.decoder, self.parts = parts.decoder, parts
        ids, mask = left_padded(prompts, pad, device_of(model))
        self.level = bool(mask.all())
        self.cache = _roomy(DynamicCache(config=model.config))
        self.mask, self.at = mask, positions(mask)
        last = self._read(ids, self.at)
        repeats = torch.tensor(sizes, device=ids.device)
        owner = torch.arange(len(prompts), device=ids.device).repeat_interleave(repeats)
        self.cache.batch_select_indices(owner)
        self.mask, self.at, self.last = self.mask[owner], self.at[owner, -1:], last[owner]

    def written(self, max_new: int, stop: Sequence[int], draws: Tensor | None, temperature: float) -> list[Row]:
        """Every row to its end."""
        n, device = len(self.last), self.last.device
        ids = torch.zeros(n, max_new, dtype=torch.long, device=device)
        scores = torch.zeros(2, n, max_new, device=device)
        lengths = torch.full((n,), max_new, device=device)
        stopped, ends = (
            torch.zeros(n, dtype=torch.bool, device=device),
            torch.tensor(list(stop), dtype=torch.long, device=device),
        )
        rows = torch.arange(n, device=device)  # in the cache; finished ones among them are read on, and not kept
        for t in range(max_new):
            u = None if draws is None else draws[rows, t]
            logits = self.parts.logits(self.last).float()
            token, *found = choose(logits if temperature == 1 else logits / temperature, u)
            ids[rows, t], scores[0, rows, t], scores[1, rows, t] = token, found[0], found[1]
            done = torch.isin(token, ends) & ~stopped[rows]
            lengths[rows[done]], stopped[rows[done]] = t + 1, True
            running = ~stopped[rows]
            left = int(running.sum())
            if t + 1 == max_new or not left:
                break
            if left < COMPACT_BELOW * len(rows):
                token, rows = token[running], rows[running]
                self._keep(running)
            self._advance(token)
        parts = zip(ids.cpu(), *scores.cpu(), lengths.tolist(), stopped.tolist(), strict=True)
        return [(i[:m].clone(), logp[:m].clone(), h[:m].clone(), end) for i, logp, h, m, end in parts]

    def _advance(self, token: Tensor) -> None:
        self.at = self.at + 1
        self.mask = torch.nn.functional.pad(self.mask, (0, 1), value=1)
        self.last = self._read(token[:, None], self.at)

    def _keep(self, running: Tensor) -> None:
        self.cache.batch_select_indices(running.nonzero().flatten())
        self.mask, self.at = self.mask[running], self.at[running]

    def _read(self, ids: Tensor, at: Tensor) -> Tensor:
        """The states after the final norm at the last place; without padding no mask is needed."""
        where: dict[str, Any] = {} if self.level else {"attention_mask": self.mask}
        found = self.decoder(
            input_ids=ids, position_ids=at, past_key_values=self.cache, use_cache=True, **where
        ).last_hidden_state
        return found[:, -1]


class _Roomy(DynamicLayer):
    """Keys and values in a block with room behind them: a token is written there, and the rest stays."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """As transformers calls it: the new states in, all of them out."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
            self.block: tuple[Tensor, Tensor] | None = None
        used, more = self.keys.shape[2], key_states.shape[2]
        if self.block is None or self.block[0].shape[2] < used + more:
            self.block = (_grown(self.keys, more), _grown(self.values, more))
        for block, states in zip(self.block, (key_states, value_states), strict=True):
            block[:, :, used : used + more] = states
        self.keys, self.values = (block[:, :, : used + more] for block in self.block)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Only these rows, or some of them more than once."""
        super().batch_select_indices(indices)
        self.block = None


def _grown(states: Tensor, more: int) -> Tensor:
    batch, heads, used, d = states.shape
    block = states.new_empty(batch, heads, used + more + ROOM, d)
    block[:, :, :used] = states
    return block


def _roomy(cache: DynamicCache) -> DynamicCache:
    """The cache with room in its plain layers; those that slide are short."""
    cache = copy.copy(cache)
    cache.layers = [_Roomy() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
