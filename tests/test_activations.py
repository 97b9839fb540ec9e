"""Collected activations: the model's own, in their order, after a kill, after damage, at any size."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from outside_checkpoints import tiny
from safetensors.torch import load_file

from probe.activations.collect import Text, collect
from probe.activations.shards import Activations, Rows, finish, write_shard
from probe.activations.shuffled_order import shuffled
from probe.errors import BadInput, ProbeError
from probe.models.hooks.sites import Site, site
from probe.rng import numpy_rng, torch_rng
from probe.store import Damaged
from probe.store.files import SPOILT

VOCAB = 50
SITES = [site("resid.1"), site("mlp.0"), site("head.1.2")]


def texts(n: int = 23, seed: int = 0) -> list[Text]:
    """Of different lengths, with different positions."""
    rng, found = numpy_rng("texts", seed), []
    for i in range(n):
        length = int(rng.integers(3, 17))
        ids = tuple(rng.integers(1, VOCAB, size=length).tolist())
        count = int(rng.integers(1, length + 1))
        places = tuple(sorted(rng.choice(length, size=count, replace=False).tolist()))
        found.append(Text(f"p{i // 2}", i % 2, ids, places))
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.match(SPOILT)}


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return tiny("qwen2", VOCAB)


def small(model: torch.nn.Module, folder: Path, asked: list[Text], **more: object) -> Activations:
    """Several shards: about 20 rows each."""
    options = {"identity": "w", "batch": 4, "shard_bytes": 20 * 32 * 4 * len(SITES)} | more
    return collect(model, asked, SITES, folder, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["qwen2", "llama", "olmo2"])
def test_rows_hold_what_the_model_held(kind: str, tmp_path: Path) -> None:
    model = tiny(kind, VOCAB)
    asked = texts()
    held = small(model, tmp_path, asked)
    rows = held.rows()
    want = [(t.problem, t.sample, p) for t in asked for p in t.positions]
    assert list(zip(rows.problem.tolist(), rows.sample.tolist(), rows.pos.tolist(), strict=True)) == want
    assert len(held.starts) > 4
    assert rows.table().column_names == ["problem", "sample", "pos"]
    with torch.no_grad():
        states = [model(torch.tensor([t.ids]), output_hidden_states=True).hidden_states[1][0] for t in asked]
    direct = torch.stack([state[p] for t, state in zip(asked, states, strict=True) for p in t.positions])
    assert torch.allclose(held.read("resid.1").values, direct, atol=1e-5)
    assert held.read("head.1.2").values.shape == (len(want), 8)


def test_chosen_rows_come_in_the_order_asked_for(model: torch.nn.Module, tmp_path: Path) -> None:
    held = small(model, tmp_path, texts())
    every = held.read("mlp.0")
    which = np.array([40, 3, 3, 0, len(held) - 1, 41, 39])
    some = held.read("mlp.0", which)
    assert torch.equal(some.values, every.values[torch.from_numpy(which)])
    assert some.rows.problem.tolist() == every.rows.problem[which].tolist()
    assert some.rows.pos.tolist() == every.rows.pos[which].tolist()


def test_batches_visit_every_row_once_in_the_order_of_an_address(model: torch.nn.Module, tmp_path: Path) -> None:
    held = small(model, tmp_path, texts())
    every, rows = held.read("resid.1").values, held.rows()
    keys = list(zip(rows.problem.tolist(), rows.sample.tolist(), rows.pos.tolist(), strict=True))

    def order(address: tuple[str | int, ...] | None) -> list[int]:
        found = []
        for batch in held.batches("resid.1", 7, address):
            told = zip(batch.rows.problem.tolist(), batch.rows.sample.tolist(), batch.rows.pos.tolist(), strict=True)
            found += (places := [keys.index(row) for row in told])
            assert torch.equal(batch.values, every[places])
        return found

    plain, mixed, again, other = order(None), order(("a", 1)), order(("a", 1)), order(("a", 2))
    assert plain == list(range(len(held)))
    assert mixed == again
    assert sorted(mixed) == plain
    assert mixed not in (plain, other)


def test_a_killed_collection_goes_on_to_the_same_bytes(model: torch.nn.Module, tmp_path: Path) -> None:
    asked = texts()
    small(model, tmp_path / "whole", asked)

    class Killed(BaseException):
        pass

    def kill(shards: int, rows: int) -> None:
        if shards == 3:
            raise Killed

    for _ in range(2):  # killed twice at the same place
        with pytest.raises(Killed):
            small(model, tmp_path / "resumed", asked, on_shard=kill)
    assert not (tmp_path / "resumed" / "index.json").exists()
    made = (tmp_path / "resumed" / "shard-00000.safetensors").stat().st_mtime_ns
    with pytest.raises(BadInput, match="no finished"):
        Activations(tmp_path / "resumed")
    (tmp_path / "resumed" / "shard-00001.json").unlink()  # killed between tensors and json
    small(model, tmp_path / "resumed", asked)
    assert files(tmp_path / "resumed") == files(tmp_path / "whole")
    assert (tmp_path / "resumed" / "shard-00000.safetensors").stat().st_mtime_ns == made  # not made again


def test_the_batch_changes_nothing_that_matters(model: torch.nn.Module, tmp_path: Path) -> None:
    one, many = (small(model, tmp_path / str(b), texts(), batch=b) for b in (1, 16))
    for name in one.sites:
        assert torch.allclose(one.read(name).values, many.read(name).values, atol=1e-5)


def test_damage_is_seen_and_mended(model: torch.nn.Module, tmp_path: Path) -> None:
    asked = texts()
    small(model, tmp_path, asked)
    whole = files(tmp_path)
    file = tmp_path / "shard-00002.safetensors"
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    held = Activations(tmp_path)
    held.read("resid.1", np.arange(5))  # another shard
    with pytest.raises(Damaged, match="shard-00002"):
        held.read("resid.1")
    small(model, tmp_path, asked)
    assert files(tmp_path) == whole
    assert len(held.read("resid.1").values) == len(held)


def test_a_missing_or_broken_description_is_damage(model: torch.nn.Module, tmp_path: Path) -> None:
    held = small(model, tmp_path, texts())
    (tmp_path / "shard-00001.json").write_text("{")
    with pytest.raises(Damaged):
        held.rows()
    (tmp_path / "shard-00001.json").unlink()
    with pytest.raises(Damaged):
        held.rows()


@pytest.mark.parametrize("change", ["identity", "texts", "sites"])
def test_shards_of_something_else_are_refused(change: str, model: torch.nn.Module, tmp_path: Path) -> None:
    small(model, tmp_path, texts())
    identity, sites = ("v" if change == "identity" else "w"), (SITES[:2] if change == "sites" else SITES)
    options = {"identity": identity, "shard_bytes": 20 * 32 * 4 * len(sites)}
    with pytest.raises(BadInput, match="made from other"):
        collect(model, texts(seed=int(change == "texts")), sites, tmp_path, **options)


@pytest.mark.parametrize(
    ("ids", "positions"),
    [((1, 2), ()), ((1, 2), (2,)), ((1, 2), (1, 0)), ((1, 2), (0, 0)), ((1, 2), (-1,)), ((), (0,))],
)
def test_positions_must_be_there(ids: tuple[int, ...], positions: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match="positions"):
        Text("p", 0, ids, positions)


def test_bad_input(model: torch.nn.Module, tmp_path: Path) -> None:
    text = Text("p", 0, (1, 2), (1,))
    for sites in ([], [SITES[0], SITES[0]], [Site("resid", 3)], [Site("head", 0, 4)]):
        with pytest.raises(BadInput):
            collect(model, [text], sites, tmp_path, identity="w")
    with pytest.raises(BadInput, match="no text"):
        collect(model, [], SITES, tmp_path, identity="w")
    for token in (VOCAB, -1):
        with pytest.raises(BadInput, match="outside"):
            collect(model, [Text("p", 0, (1, token), (1,))], SITES, tmp_path, identity="w")
    held = collect(model, [text], SITES, tmp_path, identity="w")
    with pytest.raises(BadInput, match="was not collected"):
        held.read("resid.0")
    with pytest.raises(BadInput, match="outside"):
        held.read("resid.1", np.array([1]))
    with pytest.raises(BadInput, match="batch"):
        next(held.batches("resid.1", 0))
    with pytest.raises(BadInput, match="one vector a row"):
        write_shard(tmp_path, 9, {"resid.1": torch.zeros(2, 3)}, held.rows(), "k")


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    model = tiny("llama", VOCAB)
    with torch.no_grad():
        model.get_input_embeddings().weight[7] = float("inf")
    with pytest.raises(ProbeError, match="not finite"):
        collect(model, [Text("p", 0, (1, 7), (0, 1))], SITES[:1], tmp_path, identity="w")
    assert not list(tmp_path.glob("*.json"))


def test_half_precision_comes_back_bit_by_bit(tmp_path: Path) -> None:
    values = torch.randn(9, 4, generator=torch_rng("half")).to(torch.bfloat16)
    rows = Rows(np.array(["b", "a", "b"] * 3), np.arange(9), np.arange(9) + 100)
    write_shard(tmp_path, 0, {"resid.0": values}, rows, "k")
    finish(tmp_path, ["resid.0"], [9])
    assert torch.equal(load_file(tmp_path / "shard-00000.safetensors")["resid.0"], values)  # an ordinary file
    back = Activations(tmp_path).read("resid.0", np.array([8, 0, 5]))
    assert torch.equal(back.values, values[[8, 0, 5]])
    assert back.rows.problem.tolist() == ["b", "b", "b"]
    assert back.rows.pos.tolist() == [108, 100, 105]


STREAM = """
import sys, tracemalloc
from pathlib import Path
import numpy as np, torch
from probe.activations.shards import Activations, Rows, finish, write_shard

def peak(folder, shards, rows=4096, d=16):
    tracemalloc.start()
    which = np.arange(rows)
    for number in range(shards):
        values = {"resid.0": torch.full((rows, d), 1.0 * number)}
        write_shard(folder, number, values, Rows(np.array(['p'] * rows), which, which), "k")
    finish(folder, ["resid.0"], [rows] * shards)
    assert sum(len(b.values) for b in Activations(folder).batches("resid.0", 512, ("x",))) == rows * shards
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most

peak(Path(sys.argv[1]) / "warm", 1)
print(peak(Path(sys.argv[1]) / "few", 2), peak(Path(sys.argv[1]) / "many", 12))
"""


def test_memory_is_flat_in_the_number_of_shards(tmp_path: Path) -> None:
    """Python's peak while a stream is written and read back shuffled, in a process of its own."""
    told = subprocess.run([sys.executable, "-c", STREAM, str(tmp_path)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    few, many = map(int, told.stdout.split())
    assert many < 1.5 * few  # six times the shards; names of problems are kept, vectors are not
    assert many < 12 * 4096 * 16 * 4  # less than what was written


@pytest.mark.parametrize("n", [1, 2, 3, 5, 64, 65, 1000])
def test_an_order_is_a_permutation(n: int) -> None:
    assert sorted(shuffled(np.arange(n), n, "o", n).tolist()) == list(range(n))


def test_an_order_may_be_asked_for_in_pieces() -> None:
    whole = shuffled(np.arange(1000), 1000, "o")
    assert shuffled(np.array([999, 0, 500]), 1000, "o").tolist() == whole[[999, 0, 500]].tolist()
    assert shuffled(np.array([10**12]), 10**13, "o")[0] < 10**13
    for wrong in ([1000], [-1]):
        with pytest.raises(BadInput):
            shuffled(wrong, 1000, "o")
    with pytest.raises(BadInput):
        shuffled([], 0, "o")


def test_orders_are_random() -> None:
    """Over many addresses: every row is equally often at every place, and neighbours are strangers."""
    n, draws = 6, 1500
    counts = np.zeros((n, n))
    pairs = np.zeros((n, n))
    for draw in range(draws):
        order = shuffled(np.arange(n), n, "random", draw)
        counts[np.arange(n), order] += 1
        pairs[order[:-1], order[1:]] += 1
    off = ~np.eye(n, dtype=bool)
    chi = ((counts - draws / n) ** 2 / (draws / n)).sum()
    assert chi < 52.6  # 99.9 % point of chi2 with 25 degrees of freedom
    share = draws / n
    assert np.abs(pairs[off] - share).max() < 5 * np.sqrt(share)
    large = shuffled(np.arange(50_000), 50_000, "large")
    assert abs(np.corrcoef(large, np.arange(50_000))[0, 1]) < 0.02
    assert abs(np.corrcoef(large[1:], large[:-1])[0, 1]) < 0.02


def test_the_index_says_what_is_there(model: torch.nn.Module, tmp_path: Path) -> None:
    held = small(model, tmp_path, texts())
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["sites"] == [str(s) for s in SITES] == list(held.sites)
    assert sum(index["rows"]) == len(held) == len(held.rows())


def test_texts_may_be_a_generator(model: torch.nn.Module, tmp_path: Path) -> None:
    def endless() -> Iterator[Text]:
        yield from texts()

    one = collect(model, endless(), SITES, tmp_path / "a", identity="w")
    assert len(one) == len(collect(model, texts(), SITES, tmp_path / "b", identity="w"))
