"""What does this model hold at these places of these texts? Streamed to shards; killed anywhere, it goes on from there.

    texts (ids, positions) -> parts of about SHARD bytes -> one forward a batch, no further than the last site -> shard

A row is one position of one text. Shards hold whole texts in the order given and follow from the texts, the sites and
the model's width alone, so that a resumed collection has the same bytes. Memory is one batch, and one shard twice (its
tensors, and the bytes of its file). A text is read up to its last wanted position: attention is causal, so nothing
behind it counts, and right padding neither. `identity` names the weights (a store digest, say): shards of other
weights are refused, not mixed.
"""

import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from probe.activations.shards import Activations, Rows, finish, is_written, write_shard
from probe.errors import BadInput, ProbeError
from probe.models.hooks.anatomy import anatomy
from probe.models.hooks.forward_hooks import read
from probe.models.hooks.sites import Site, check_site
from probe.models.sampling.batches import by_length, over_devices
from probe.models.sampling.padding import right_padded

SHARD = 64 * 2**20  # bytes of a shard, about
TOKENS = 8192  # of a batch, padding included
OnShard = Callable[[int, int], None]  # shards done, rows done
Read = Callable[[Tensor, Sequence[Site]], dict[Site, Tensor]]  # ids, sites: `read` of a backend


@dataclass(frozen=True)
class Text:
    """One sequence, whose it is, and the positions (0 is its first token) to be read, ascending."""

    problem: str
    sample: int
    ids: tuple[int, ...]
    positions: tuple[int, ...]

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.positions, self.positions[1:], strict=False))
        if not self.positions or not ascending or not 0 <= self.positions[0] <= self.positions[-1] < len(self.ids):
            what = f"positions {self.positions[:5]} of a text of {len(self.ids)} tokens"
            raise BadInput(what, where=self.problem, do="give ascending positions inside of the text, at least one")


def collect(
    model: PreTrainedModel,
    texts: Iterable[Text],
    sites: Sequence[Site],
    folder: Path,
    *,
    identity: str,
    reads: Read | None = None,
    batch: int = 64,
    shard_bytes: int = SHARD,
    on_shard: OnShard = lambda shards, rows: None,
) -> Activations:
    """The activations of `texts` at `sites` in `folder`, what is there of them already kept.

    Values have the model's dtype; plain hooks read them unless `reads` does. BadInput on an unknown site or token, no
    text, or shards in `folder` of something else; ProbeError where a value is not finite.
    """
    _check(model, sites)
    names = [str(site) for site in sites]
    sizes: list[int] = []
    reads = reads or functools.partial(read, model)
    room = max(1, shard_bytes // _row_bytes(model, sites))
    for number, part in enumerate(_parts(texts, room)):
        key = _key(part, names, identity)
        sizes.append(sum(len(text.positions) for text in part))
        if not is_written(folder, number, key):
            write_shard(folder, number, _values(model, reads, part, sites, batch), _rows(part), key)
        on_shard(len(sizes), sum(sizes))
    if not sizes:
        raise BadInput("no text to read", where="collect", do="give at least one")
    finish(folder, names, sizes)
    return Activations(folder)


def _parts(texts: Iterable[Text], room: int) -> Iterator[list[Text]]:
    """Whole texts in their order; a part is full once it has `room` rows."""
    part: list[Text] = []
    rows = 0
    for text in texts:
        part.append(text)
        rows += len(text.positions)
        if rows >= room:
            yield part
            part, rows = [], 0
    if part:
        yield part


def _values(
    model: PreTrainedModel, reads: Read, part: list[Text], sites: Sequence[Site], batch: int
) -> dict[str, Float[Tensor, "row d"]]:
    """`[row d]` at each site, rows in the order of the texts."""
    ids = [text.ids[: text.positions[-1] + 1] for text in part]
    lengths = [len(row) for row in ids]
    starts = [0, *itertools.accumulate(len(text.positions) for text in part)]
    values: dict[str, Float[Tensor, "row d"]] = {}  # filled in place: many small tensors would leave memory in pieces
    _check_ids(model, part)

    def run(_: None, rows: list[int]) -> list[None]:
        padded = right_padded([ids[row] for row in rows], 0, model.get_input_embeddings().weight.device)[0]
        row_in_batch = [i for i, row in enumerate(rows) for _ in part[row].positions]
        places = [place for row in rows for place in part[row].positions]
        into = torch.tensor([number for row in rows for number in range(starts[row], starts[row + 1])])
        for where, x in reads(padded, sites).items():
            if str(where) not in values:
                values[str(where)] = torch.empty(starts[-1], x.shape[-1], dtype=x.dtype)
            values[str(where)][into] = x[row_in_batch, places].cpu()
        return [None] * len(rows)

    batches = by_length(lengths, max(1, min(batch, TOKENS // max(lengths))))
    over_devices([None], batches, run, lengths=lengths)
    for name, tensor in values.items():
        if not tensor.isfinite().all():
            do = "load it in float32 or bfloat16: float16 overflows in models that were trained in bfloat16"
            raise ProbeError(f"activations at {name} are not finite", where="collect", do=do)
    return values


def _rows(part: list[Text]) -> Rows:
    counts = [len(text.positions) for text in part]
    return Rows(
        np.repeat(np.array([text.problem for text in part]), counts),
        np.repeat(np.array([text.sample for text in part]), counts),
        np.array([place for text in part for place in text.positions]),
    )


def _key(part: list[Text], names: list[str], identity: str) -> str:
    """sha256 of everything the shard follows from."""
    asked = [[text.problem, text.sample, text.ids, text.positions] for text in part]
    return hashlib.sha256(json.dumps([identity, names, asked]).encode()).hexdigest()


def _row_bytes(model: PreTrainedModel, sites: Sequence[Site]) -> int:
    """Of one row at all sites; heads count as whole residuals, which only makes shards smaller."""
    return int(model.config.get_text_config().hidden_size) * model.dtype.itemsize * len(sites)


def _check(model: PreTrainedModel, sites: Sequence[Site]) -> None:
    if not sites or len(set(sites)) < len(sites):
        raise BadInput("sites are missing or named twice", where="collect", do="name each site once, at least one")
    parts = anatomy(model)
    for site in sites:
        check_site(site, parts, model)


def _check_ids(model: PreTrainedModel, part: list[Text]) -> None:
    known = model.get_input_embeddings().weight.shape[0]
    for text in part:
        if not 0 <= min(text.ids) <= max(text.ids) < known:
            raise BadInput(f"a token is outside of the model's {known}", where=text.problem, do="use its own tokenizer")
