"""Batches: every row once an epoch, held rows never, folders only where all hold the same positions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from probe.activations.shards import Activations, Rows, finish, write_shard
from probe.dictionaries.fitting.stream import TOGETHER, Folders, Stream, Table
from probe.errors import BadInput
from probe.models.hooks.sites import site

PLACE = site("resid.1")


def numbered(n: int) -> Table:
    return Table(torch.arange(n, dtype=torch.float32)[:, None, None])


def collection(folder: Path, values: Tensor, change: Callable[[Rows], Rows] = lambda rows: rows) -> Activations:
    folder.mkdir()
    n = len(values)
    rows = Rows(np.array([f"p{i // 4}" for i in range(n)]), np.arange(n) // 2 % 2, np.arange(n) % 2)
    rows = change(rows)
    for number, part in enumerate(torch.arange(n).split(7)):
        at = part.numpy()
        write_shard(
            folder,
            number,
            {str(PLACE): values[part]},
            Rows(rows.problem[at], rows.sample[at], rows.pos[at]),
            "key",
        )
    finish(folder, [str(PLACE)], [len(part) for part in torch.arange(n).split(7)])
    return Activations(folder)


@pytest.mark.parametrize(("n", "batch", "held"), [(100, 10, 20), (1003, 7, 103), (64, 64, 0)])
def test_each_epoch_has_every_row_once_and_no_held_one(n: int, batch: int, held: int) -> None:
    stream = Stream(numbered(n), batch, held, ("a",))
    apart = {int(value) for rows in stream.held_rows() for value in rows.flatten()}
    assert len(apart) == held
    steps = stream.n_train // batch
    epochs = [[int(v) for t in range(e * steps, (e + 1) * steps) for v in stream.read(t).flatten()] for e in range(3)]
    for seen in epochs:
        assert len(seen) == len(set(seen)) == steps * batch
        assert not set(seen) & apart
    if (n - held) % batch == 0:
        assert set(epochs[0]) | apart == set(range(n))
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs[0] != sorted(epochs[0])


def test_a_batch_is_a_function_of_its_step() -> None:
    """Asked for in any order, again, and by another stream; across the groups that are worked out together."""
    stream = Stream(numbered(400), 5, 30, ("a", 1))
    steps = [0, 2 * TOGETHER + 1, TOGETHER - 1, TOGETHER, 73, 74, 200, 1]
    first = {t: stream.read(t) for t in steps}
    other = Stream(numbered(400), 5, 30, ("a", 1))
    assert all(torch.equal(other.read(t), first[t]) for t in reversed(steps))
    assert not torch.equal(Stream(numbered(400), 5, 30, ("a", 2)).read(0), first[0])


def test_two_folders_are_one_table(tmp_path: Path) -> None:
    values = torch.randn(30, 2, 3, generator=torch.Generator().manual_seed(3))
    pair = (collection(tmp_path / "b", values[:, 0]), collection(tmp_path / "a", values[:, 1]))
    folders, names = Folders(pair, ("before", "after"), PLACE), ("before", "after")
    streams = [Stream(source, 4, 6, ("x",)) for source in (folders, Table(values, PLACE, names))]
    for t in range(12):
        assert torch.equal(streams[0].read(t), streams[1].read(t))
    assert all(torch.equal(a, b) for a, b in zip(*(s.held_rows() for s in streams), strict=True))


def with_position(rows: Rows) -> Rows:
    pos = rows.pos.copy()
    pos[17] = 9
    return Rows(rows.problem, rows.sample, pos)


def with_sample(rows: Rows) -> Rows:
    return Rows(rows.problem, 1 - rows.sample, rows.pos)


def with_problem(rows: Rows) -> Rows:
    return Rows(np.where(rows.problem == "p3", "p4", rows.problem), rows.sample, rows.pos)


@pytest.mark.parametrize("change", [with_position, with_sample, with_problem])
def test_folders_of_other_rows(tmp_path: Path, change: Callable[[Rows], Rows]) -> None:
    one = collection(tmp_path / "b", torch.zeros(30, 3))
    with pytest.raises(BadInput, match="beside"):
        Folders((one, collection(tmp_path / "a", torch.zeros(30, 3), change)), ("b", "a"), PLACE)


def test_a_row_that_differs_far_from_the_edges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.dictionaries.fitting.stream.EDGE", 2)
    pair = (
        collection(tmp_path / "b", torch.zeros(30, 3)),
        collection(tmp_path / "a", torch.zeros(30, 3), with_position),
    )
    stream = Stream(Folders(pair, ("b", "a"), PLACE), 10, 0, ("x",))
    with pytest.raises(BadInput, match="position 9"):
        [stream.read(t) for t in range(3)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Table(torch.zeros(3, 2)), "values"),
        (lambda: Table(torch.zeros(3, 2, 4)), "of 1 models"),
        (lambda: Stream(numbered(10), 8, 3, ("a",)), "10 rows, 3 of them held"),
        (lambda: Folders((), (), PLACE), "0 folders"),
    ],
)
def test_bad_sources(make: Callable[[], object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        make()


def test_folders_that_cannot_be_a_pair(tmp_path: Path) -> None:
    one = collection(tmp_path / "b", torch.zeros(30, 3))
    with pytest.raises(BadInput, match="rows"):
        Folders((one, collection(tmp_path / "short", torch.zeros(28, 3))), ("b", "a"), PLACE)
    with pytest.raises(BadInput, match="width 4 beside 3"):
        Folders((one, collection(tmp_path / "wide", torch.zeros(30, 4))), ("b", "a"), PLACE)
    with pytest.raises(BadInput, match=r"resid\.2 was not collected"):
        Folders((one, one), ("b", "a"), site("resid.2"))
    assert len(Folders((one, one), ("before", "itself"), PLACE)) == 30
