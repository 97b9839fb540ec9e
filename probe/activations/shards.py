"""Where do activations live on disk, and how are any of them read back without reading all? Never without their rows.

    shard-00000.safetensors   one tensor a site [row d], and "rows" [row 3]: problem (a number), sample, position
    shard-00000.json          written last: names of the problems, sha256 of the tensors, and of what was asked for
    index.json                written at the very end: sites, rows a shard

A shard without its json, or whose bytes are not those it names, does not count as made. Values are read row by row
with `pread`, never mapped, so memory is that of a batch whatever the number of shards; the order of an address comes
from `order.shuffled`, which needs no table. Left out: compression (residuals do not compress), several writers.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.activations.shuffled_order import shuffled
from probe.errors import BadInput
from probe.registry import nearest
from probe.store import Damaged, is_kept, keep, write_atomic
from probe.store.files import digest_once

ROWS, INDEX = "rows", "index.json"
DTYPES = {"F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16, "I32": torch.int32}
Address = tuple[str | int, ...]


@dataclass(frozen=True, eq=False)
class Rows:
    """Whose activations these are: problem, sample and position within its ids, `[row]` each."""

    problem: np.ndarray  # of str
    sample: Int[np.ndarray, "row"]
    pos: Int[np.ndarray, "row"]

    def __len__(self) -> int:
        return len(self.problem)

    def table(self) -> pa.Table:
        """The same as columns."""
        numbers = {"sample": pa.array(self.sample, pa.int32()), "pos": pa.array(self.pos, pa.int32())}
        return pa.table({"problem": pa.array(self.problem.tolist(), pa.string()), **numbers})


@dataclass(frozen=True, eq=False)
class Batch:
    """Activations of one site and their rows."""

    values: Float[Tensor, "row d"]
    rows: Rows


def write_shard(folder: Path, number: int, values: Mapping[str, Tensor], rows: Rows, key: str) -> None:
    """One shard, whole or not at all. `values` [row d] by site; `key` says what it was made from."""
    for name, tensor in values.items():
        if name == ROWS or tensor.ndim != 2 or len(tensor) != len(rows):
            what = f"{name}: {tuple(tensor.shape)} beside {len(rows)} rows"
            raise BadInput(what, where="write_shard", do="give one vector a row at every site")
    names, codes = np.unique(rows.problem, return_inverse=True)
    where = torch.from_numpy(np.stack([codes, rows.sample, rows.pos], axis=1).astype(np.int32))
    digest = keep(_tensors(folder, number), _safetensors({**values, ROWS: where}))
    record = {"key": key, "rows": len(rows), "problems": names.tolist(), "sha256": digest}
    keep(_record_file(folder, number), json.dumps(record, sort_keys=True).encode())


def _safetensors(tensors: Mapping[str, Tensor]) -> bytes:
    """The file's bytes. (`safetensors.torch.save` leaves cycles that hold whole shards until they are collected.)"""
    kinds = {kind: name for name, kind in DTYPES.items()}
    header, parts, at = {}, [], 0
    for name in sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name)):  # so that all are aligned
        tensor = tensors[name].detach().cpu().contiguous()
        parts.append(tensor.view(torch.uint8).numpy().data)
        end = at + parts[-1].nbytes
        header[name] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return b"".join([len(head).to_bytes(8, "little"), head, *parts])


def is_written(folder: Path, number: int, key: str) -> bool:
    """Whether that shard is there and whole, else it is set aside. BadInput where it was made from something else."""
    file, about = _tensors(folder, number), _record_file(folder, number)
    kept = [is_kept(file), is_kept(about)]
    try:
        record = json.loads(about.read_bytes())
        fits, same = digest_once(file) == record["sha256"], record["key"] == key
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if fits and not same:  # with or without digests beside it: a folder of others' shards is theirs
        raise BadInput(
            f"shard {number} was made from other sequences, positions, sites or weights",
            where=str(folder),
            do="collect into an empty folder",
        )
    return all(kept) and fits


def finish(folder: Path, sites: list[str], shard_rows: list[int]) -> None:
    """Say that all shards are there."""
    write_atomic(folder / INDEX, json.dumps({"sites": sites, "rows": shard_rows}).encode())


@dataclass(frozen=True)
class Activations:
    """A finished collection, read lazily. BadInput where it is not finished; Damaged at the first bad shard read."""

    folder: Path
    sites: tuple[str, ...] = field(init=False)
    starts: tuple[int, ...] = field(init=False)  # first row of each shard, and the number of rows at the end

    def __post_init__(self) -> None:
        try:
            index = json.loads((self.folder / INDEX).read_bytes())
            starts = np.cumsum([0, *index["rows"]])
        except (OSError, ValueError, KeyError) as err:
            do = "collect into it again: it goes on from its last whole shard"
            raise BadInput("no finished activations here", where=str(self.folder), do=do) from err
        object.__setattr__(self, "sites", tuple(index["sites"]))
        object.__setattr__(self, "starts", tuple(starts.tolist()))

    def __len__(self) -> int:
        return self.starts[-1]

    def rows(self) -> Rows:
        """All rows in their order; one line a row in memory, unlike everything else here."""
        return self._rows(np.arange(len(self)))

    def read(self, site: str, which: Int[np.ndarray, "row"] | None = None) -> Batch:
        """Some rows (by number; None: all) at a site, in the order asked for."""
        self._check(site)
        chosen = np.arange(len(self)) if which is None else np.asarray(which)
        if chosen.size and not 0 <= chosen.min() <= chosen.max() < len(self):
            raise BadInput(f"rows outside of 0 to {len(self) - 1}", where=str(self.folder))
        return Batch(self._gather(site, chosen), self._rows(chosen))

    def batches(self, site: str, batch: int, shuffle: Address | None = None) -> Iterator[Batch]:
        """All rows once, `batch` at a time: in their order, or in that of the address `shuffle`."""
        self._check(site)
        if batch < 1:
            raise BadInput(f"a batch of {batch} rows", do="give 1 or more")
        for start in range(0, len(self), batch):
            places = np.arange(start, min(start + batch, len(self)))
            yield self.read(site, places if shuffle is None else shuffled(places, len(self), *shuffle))

    def _check(self, site: str) -> None:
        if site not in self.sites:
            raise BadInput(f"{site} was not collected", where=str(self.folder), do=nearest(site, list(self.sites)))

    def _rows(self, chosen: Int[np.ndarray, "row"]) -> Rows:
        index = self._gather(ROWS, chosen).numpy()
        shard, names = self._shard(chosen), np.empty(len(chosen), dtype=object)
        for number in np.unique(shard).tolist():
            here = shard == number
            names[here] = np.array(_open(self.folder, number).problems, dtype=object)[index[here, 0]]
        return Rows(names.astype(str), index[:, 1], index[:, 2])

    def _shard(self, chosen: Int[np.ndarray, "row"]) -> Int[np.ndarray, "row"]:
        return np.searchsorted(self.starts, chosen, side="right") - 1

    def _gather(self, name: str, chosen: Int[np.ndarray, "row"]) -> Tensor:
        """`[row d]`: runs of neighbouring rows are read at once, each into its place."""
        order = np.argsort(chosen, kind="stable")
        shard = self._shard(chosen[order])
        kind, width, _ = _open(self.folder, 0).layout(name)
        gathered = torch.empty(len(chosen), width, dtype=kind)
        for number in np.unique(shard).tolist():
            here = order[shard == number]
            gathered[torch.from_numpy(here)] = _open(self.folder, number).read(name, chosen[here] - self.starts[number])
        return gathered


@dataclass(frozen=True, eq=False)
class _Shard:
    """One checked file: where its tensors lie."""

    path: Path
    header: dict[str, Any]
    offset: int
    problems: list[str]

    def layout(self, name: str) -> tuple[torch.dtype, int, int]:
        """dtype, numbers a row, first byte."""
        about = self.header[name]
        return DTYPES[about["dtype"]], int(about["shape"][1]), self.offset + int(about["data_offsets"][0])

    def read(self, name: str, rows: Int[np.ndarray, "row"]) -> Tensor:
        """`rows` ascend; neighbours are read at once."""
        kind, width, start = self.layout(name)
        size = width * kind.itemsize
        data = bytearray(len(rows) * size)
        into = memoryview(data)
        firsts = np.flatnonzero(np.diff(rows, prepend=rows[0] - 2) != 1).tolist()
        fd = os.open(self.path, os.O_RDONLY)
        try:
            for first, end in zip(firsts, [*firsts[1:], len(rows)], strict=True):
                os.preadv(fd, [into[first * size : end * size]], start + int(rows[first]) * size)
        finally:
            os.close(fd)
        return torch.frombuffer(data, dtype=kind).view(len(rows), width)


def _open(folder: Path, number: int) -> _Shard:
    """The shard, its checksum compared again whenever the file has changed."""
    file = _tensors(folder, number)
    try:
        stat, record = file.stat(), _record_file(folder, number).read_bytes()
    except OSError as err:
        raise _damage(file, f"{type(err).__name__}: {err}") from err
    return _checked(file, record, (stat.st_size, stat.st_mtime_ns, stat.st_ino))


@lru_cache(maxsize=1024)
def _checked(file: Path, about: bytes, mark: tuple[int, ...]) -> _Shard:
    """`mark` only tells one state of the file from another."""
    try:
        record = json.loads(about)
        whole = digest_once(file) == record["sha256"]
        with open(file, "rb") as handle:
            size = int.from_bytes(handle.read(8), "little")
            header = json.loads(handle.read(size)) if whole else {}
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise _damage(file, f"{type(err).__name__}: {err}") from err
    if not whole:
        raise _damage(file, "its sha256 has changed")
    return _Shard(file, header, 8 + size, record["problems"])


def _damage(file: Path, what: str) -> Damaged:
    return Damaged(f"damaged activations: {file.name}: {what}", where=str(file.parent), do="collect into it again")


def _tensors(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.safetensors"


def _record_file(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.json"
