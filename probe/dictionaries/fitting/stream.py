"""Which rows make up batch t? Each epoch all but the held ones once, in an addressed order; a function of t alone.

    row = order("held")[ order("epoch", e)[place] ],   e = t // (n_train // batch),   place = places of batch t in e

`order` is the keyed permutation of `shuffled_order`, worked out place by place: no table, and a training that was
killed at step t goes on with the same rows. The last `held` places of order("held") are never trained on. What does not
fill a batch at an epoch's end is left out of that epoch. Rows come from a tensor [row model d], or from one folder of
`Activations` a model over the same positions of the same texts, which is compared in every batch that is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.activations.shards import Activations, Address
from probe.activations.shards import Batch as Read
from probe.activations.shuffled_order import shuffled
from probe.dictionaries.dictionary import Rows
from probe.errors import BadInput
from probe.models.hooks.sites import Site

TOGETHER = 16  # batches whose order is worked out at once
SOMEWHERE = Site("resid", 0)  # of rows that come from no model
EDGE = 1024  # rows at either end that are compared before training


class Source(Protocol):
    """Rows by number."""

    @property
    def site(self) -> Site: ...

    @property
    def models(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def read(self, which: Int[np.ndarray, "row"]) -> Rows: ...


@dataclass(frozen=True, eq=False)
class Table:
    """Rows that are in memory: tests, notebooks, small models."""

    values: Float[Tensor, "row model d"]
    site: Site = SOMEWHERE
    models: tuple[str, ...] = ("model",)

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.shape[1] != len(self.models) or not self.values.numel():
            what = f"values {tuple(self.values.shape)} of {len(self.models)} models"
            raise BadInput(what, where="Table", do="give [row model d] and a name a model")

    def __len__(self) -> int:
        return len(self.values)

    def read(self, which: Int[np.ndarray, "row"]) -> Rows:
        return self.values[torch.from_numpy(which)]


@dataclass(frozen=True)
class Folders:
    """One finished collection a model. BadInput unless all hold the same rows, at the site, of one width."""

    folders: tuple[Activations, ...]
    models: tuple[str, ...]
    site: Site

    def __post_init__(self) -> None:
        if not self.folders or len(self.folders) != len(self.models):
            raise BadInput(f"{len(self.folders)} folders of {self.models}", where="Folders", do="name each folder")
        sizes = [len(folder) for folder in self.folders]
        if len(set(sizes)) > 1 or not sizes[0]:
            raise BadInput(f"collections of {sizes} rows", where="Folders", do="collect both at the same positions")
        edge = min(EDGE, sizes[0])
        self.read(np.unique(np.concatenate([np.arange(edge), np.arange(sizes[0] - edge, sizes[0])])))

    def __len__(self) -> int:
        return len(self.folders[0])

    def read(self, which: Int[np.ndarray, "row"]) -> Rows:
        """BadInput at the first row that is another position in one of the folders."""
        read = [folder.read(str(self.site), which) for folder in self.folders]
        for folder, other in zip(self.folders[1:], read[1:], strict=True):
            self._compare(folder, read[0], other)
        return torch.stack([each.values for each in read], dim=1)

    def _compare(self, folder: Activations, first: Read, other: Read) -> None:
        rows, others = first.rows, other.rows
        same = (rows.problem == others.problem) & (rows.sample == others.sample) & (rows.pos == others.pos)
        if not same.all():
            i = int(np.argmin(same))
            theirs = f"{others.problem[i]!r}, sample {others.sample[i]}, position {others.pos[i]}"
            what = f"{theirs}, beside {rows.problem[i]!r}, {rows.sample[i]}, {rows.pos[i]}"
            raise BadInput(what, where=str(folder.folder), do="collect both over the same texts and positions")
        if first.values.shape != other.values.shape:
            what = f"width {other.values.shape[1]} beside {first.values.shape[1]}"
            raise BadInput(what, where=str(folder.folder), do="models of one width share a dictionary")


@dataclass(frozen=True)
class Stream:
    """`source` in batches, in the order of `address`, with `held` rows apart."""

    source: Source
    batch: int
    held: int
    address: Address

    def __post_init__(self) -> None:
        if self.n_train < self.batch:
            what = f"{len(self.source)} rows, {self.held} of them held, for batches of {self.batch}"
            raise BadInput(what, where="Stream", do="give more rows, or smaller batches")

    @property
    def n_train(self) -> int:
        return len(self.source) - self.held

    def rows_of(self, step: int) -> Int[np.ndarray, "row"]:
        """The numbers of batch `step`'s rows."""
        epoch, place = divmod(step, self.n_train // self.batch)
        group, within = divmod(place, TOGETHER)
        numbers = _numbers(len(self.source), self.n_train, self.batch, self.address, epoch, group)
        return numbers[within * self.batch : (within + 1) * self.batch]

    def read(self, step: int) -> Rows:
        """Batch `step`, from 0, without end."""
        return self.source.read(self.rows_of(step))

    def held_numbers(self) -> Iterator[Int[np.ndarray, "row"]]:
        """The numbers of what is never trained on, `batch` at a time."""
        for low in range(self.n_train, len(self.source), self.batch):
            places = np.arange(low, min(low + self.batch, len(self.source)))
            yield shuffled(places, len(self.source), *self.address, "held")

    def held_rows(self) -> Iterator[Rows]:
        """What is never trained on, `batch` rows at a time."""
        return (self.source.read(numbers) for numbers in self.held_numbers())


@lru_cache(maxsize=2)
def _numbers(rows: int, n_train: int, batch: int, address: Address, epoch: int, group: int) -> Int[np.ndarray, "row"]:
    """Row numbers of TOGETHER batches, or as many as the epoch has left: the walk's last rounds are paid for once."""
    places = np.arange(group * TOGETHER * batch, min((group + 1) * TOGETHER * batch, n_train // batch * batch))
    return shuffled(shuffled(places, n_train, *address, "epoch", epoch), rows, *address, "held")
