"""Every row is worked off once whatever memory there is and however many devices, and results come in row order."""

import threading
import weakref

import pytest
import torch
from outside_checkpoints import tiny

from probe.errors import BadInput, ProbeError
from probe.models.sampling.batches import by_length, over_devices, replicas
from probe.models.sampling.padding import left_padded, right_padded

ENDLESS = 2**46  # bytes, which no machine has


def room_for(most: int, seen: list[list[int]] | None = None):
    """Squares of rows; out of memory with more than `most` of them."""

    def run(rows: list[int]) -> list[int]:
        if seen is not None:
            seen.append(rows)
        if len(rows) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [row * row for row in rows]

    return run


def halving(rows, batch: int, run, *told, lengths=None) -> list[int]:
    """On one device."""
    batches = [list(rows[start : start + batch]) for start in range(0, len(rows), batch)]
    return over_devices([None], batches, lambda _, some: run(some), *told, lengths=lengths)


def test_batches_are_longest_first_and_equals_keep_their_order() -> None:
    assert by_length([3, 9, 3, 1, 9], 2) == [[1, 4], [0, 2], [3]]
    assert by_length([3, 9, 3, 1, 9], 99) == [[1, 4, 0, 2, 3]]
    assert by_length([], 4) == []


@pytest.mark.parametrize("batch", [0, -3])
def test_a_batch_of_nothing_is_refused(batch: int) -> None:
    with pytest.raises(BadInput, match=f"batch of {batch}"):
        by_length([1, 2], batch)


@pytest.mark.parametrize("most", [1, 2, 3, 7, 8, 100])
@pytest.mark.parametrize("batch", [1, 5, 8])
def test_results_are_those_of_unlimited_memory(most: int, batch: int) -> None:
    rows, told = [11, 3, 7, 2, 19, 5, 13, 4, 6, 23], []
    assert halving(rows, batch, room_for(most), told.append) == [row * row for row in sorted(rows)]
    assert sum(told) == len(rows)
    assert max(told) <= min(batch, most)


def test_a_size_that_failed_is_not_tried_again() -> None:
    seen: list[list[int]] = []
    halving(range(24), 8, room_for(3, seen))
    assert [len(rows) for rows in seen[:3]] == [8, 4, 2]
    assert max(len(rows) for rows in seen[2:]) == 2
    assert [row for rows in seen[2:] for row in rows] == list(range(24))


def test_the_allocator_of_this_machine_says_when_it_is_full() -> None:
    def run(rows: list[int]) -> list[int]:
        return [torch.empty(ENDLESS if len(rows) > 2 else 1, dtype=torch.uint8).numel() for _ in rows]

    assert halving(range(8), 8, run) == [1] * 8


def test_python_running_out_of_memory_counts_too() -> None:
    def run(rows: list[int]) -> list[int]:
        return [len(bytearray(2**62 if len(rows) > 1 else 1)) for _ in rows]

    assert halving(range(3), 3, run) == [1] * 3


def test_what_a_failed_attempt_held_is_free_before_the_next() -> None:
    held: list[weakref.ref] = []

    def run(rows: list[int]) -> list[int]:
        assert all(ref() is None for ref in held)
        large = torch.zeros(1000)
        held.append(weakref.ref(large))
        if len(rows) > 2:
            raise torch.OutOfMemoryError("full")
        return rows

    assert halving(range(8), 8, run) == list(range(8))
    assert len(held) > 4


def test_one_row_that_does_not_fit_is_named() -> None:
    with pytest.raises(ProbeError, match=r"(?s)single row of 4096 tokens.*row 2.*fewer new tokens") as caught:
        halving([2, 0, 1], 3, room_for(0), lengths=[10, 20, 4096])
    assert not isinstance(caught.value, BadInput)
    with pytest.raises(ProbeError, match="a single row does not fit"):
        halving([2], 3, room_for(0))


@pytest.mark.parametrize("error", [RuntimeError("expected scalar type Half"), ValueError("no"), ProbeError("broken")])
def test_other_errors_pass_through(error: Exception) -> None:
    def run(rows: list[int]) -> list[int]:
        raise error

    with pytest.raises(type(error), match=str(error)):
        halving(range(4), 4, run)


def test_a_run_that_loses_a_row_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        halving(range(4), 4, lambda rows: rows[1:])


@pytest.mark.parametrize("n", [1, 2, 5])
def test_workers_share_the_batches_and_each_row_is_done_once(n: int) -> None:
    batches, done, told = by_length([5, 1, 4, 1, 9, 2, 6, 8], 3), [], []

    def run(worker: int, rows: list[int]) -> list[str]:
        done.append((worker, rows))
        return [f"row {row}" for row in rows]

    assert over_devices(range(n), batches, run, told.append) == [f"row {row}" for row in range(8)]
    assert sorted(rows for _, rows in done) == sorted(batches)
    assert sum(told) == 8


def test_workers_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)  # broken, and an error, unless two threads meet there

    def run(worker: str, rows: list[int]) -> list[str]:
        both.wait()
        return [worker]

    assert sorted(over_devices(["a", "b"], [[0], [1]], run)) == ["a", "b"]


def test_each_worker_halves_for_itself() -> None:
    """A small card beside a large one; neither's room is the other's."""
    sizes: dict[int, list[int]] = {2: [], 6: []}
    both = threading.Barrier(2, timeout=20)

    def run(room: int, rows: list[int]) -> list[int]:
        if not sizes[room]:
            both.wait()  # so that each gets a batch
        sizes[room].append(len(rows))
        return room_for(room)(rows)

    assert over_devices([2, 6], [list(range(i, i + 6)) for i in range(0, 30, 6)], run) == [i * i for i in range(30)]
    assert sizes[2][:3] == [6, 3, 1]
    assert set(sizes[6]) == {6}


@pytest.mark.parametrize("n", [1, 2])
def test_an_error_ends_every_worker(n: int) -> None:
    done: list[int] = []

    def run(worker: int, rows: list[int]) -> list[int]:
        if 1 in rows:
            raise ValueError("row 1 is broken")
        done.extend(rows)
        return rows

    with pytest.raises(ValueError, match="row 1 is broken"):
        over_devices(range(n), [[i] for i in range(100_000)], run)
    assert len(done) < 99_000


def test_a_row_that_does_not_fit_is_named_from_a_thread_too() -> None:
    with pytest.raises(ProbeError, match="a single row of 77 tokens"):
        over_devices("ab", [[0, 1]], lambda worker, rows: room_for(0)(rows), lengths=[77, 77])


def test_a_replica_is_the_model_over_again() -> None:
    model = tiny("gemma3", 40)
    model.register_buffer("extra", torch.arange(3.0))
    first, second = replicas(model, ["cpu", "cpu"])
    assert first is model
    ids = torch.tensor([[3, 5, 7, 9, 11, 13, 15, 17, 19, 21]])
    assert torch.equal(first(ids).logits, second(ids).logits)
    own = {t.data_ptr() for t in [*model.parameters(), *model.buffers()]}
    assert own.isdisjoint(t.data_ptr() for t in [*second.parameters(), *second.buffers()])
    assert second.lm_head.weight is second.get_input_embeddings().weight  # tied as before
    assert second.config is not model.config
    assert not second.training


def test_a_replica_goes_to_its_device_and_the_model_stays() -> None:
    model = tiny("qwen2", 40)
    (moved,) = replicas(model, ["meta"])
    assert {t.device.type for t in [*moved.parameters(), *moved.buffers()]} == {"meta"}
    assert {t.device.type for t in [*model.parameters(), *model.buffers()]} == {"cpu"}


def test_a_model_spread_over_devices_is_used_as_it_is() -> None:
    model = tiny("qwen2", 40)
    assert replicas(model, []) == [model]
    model.hf_device_map = {"model.layers.0": 0, "model.layers.1": 1}
    assert replicas(model, ["cpu", "cpu"]) == [model]


def test_rows_are_padded_by_hand_on_either_side() -> None:
    rows = [[5, 6, 7], (8,)]
    left, seen = left_padded(rows, 9)
    assert left.tolist() == [[5, 6, 7], [9, 9, 8]] and seen.tolist() == [[1, 1, 1], [0, 0, 1]]
    right, seen = right_padded(rows, 9, more=1)
    assert right.tolist() == [[5, 6, 7, 9], [8, 9, 9, 9]] and seen.tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]
    assert left.dtype == right.dtype == seen.dtype == torch.long


@pytest.mark.parametrize("device", ["cuda:99", "nowhere", "cpu:x"])
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(BadInput, match="there is no device"):
        replicas(tiny("qwen2", 50), [device])
