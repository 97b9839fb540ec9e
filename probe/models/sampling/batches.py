"""How are rows of unequal length worked off on memory of unknown size, on one device or several?

    by_length      rows -> batches, longest first: padding is small, and what does not fit shows at once
    over_devices   batches -> replicas of the model, one thread each, whoever is free takes the next; a batch that runs
                   out of memory is cut in half, and so are those after it

A batch holds the same rows whichever device takes it, so one device and many give the same bits as long as memory
lasts. After a halving a matrix product may round differently; nothing else depends on the batch.

Left out: growing a batch again, and splitting one model over devices (load it with a `device_map`).
"""

import copy
import gc
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import nn
from transformers import PreTrainedModel

from probe.errors import BadInput, ProbeError

T = TypeVar("T")
W = TypeVar("W")
OnRows = Callable[[int], None]  # rows just done

# What is said by a full memory that is no torch.OutOfMemoryError: the CPU's allocator, a kernel's workspace, cuBLAS
FULL = ("DefaultCPUAllocator", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def silent(rows: int) -> None:
    """Tells nobody."""


def by_length(lengths: Sequence[int], batch: int) -> list[list[int]]:
    """Row numbers in batches of at most `batch`, longest first, equals in their order."""
    if batch < 1:
        raise BadInput(f"a batch of {batch} rows", where="by_length", do="give 1 or more")
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    return [order[start : start + batch] for start in range(0, len(order), batch)]


def over_devices(
    workers: Sequence[W],
    batches: Sequence[list[int]],
    run: Callable[[W, list[int]], Sequence[T]],
    on_rows: OnRows = silent,
    lengths: Sequence[int] | None = None,
) -> list[T]:
    """`run(worker, rows)` gives one result per row; those of all batches in order of row number.

    `lengths` (tokens, by row number) is for the message where a single row does not fit: a ProbeError.
    An error in one thread ends the others after the batch they are at. `on_rows` is called by one thread at a time.
    """
    left, results, lock = deque(batches), dict[int, T](), threading.Lock()

    def tell(rows: int) -> None:
        with lock:
            on_rows(rows)

    def work(worker: W) -> None:
        try:
            _work_off(left, lambda rows: run(worker, rows), results, tell, lengths)
        except BaseException:
            left.clear()
            raise

    if len(workers) == 1:
        work(workers[0])
    else:
        _in_threads(work, workers, left)
    return [results[row] for row in sorted(results)]


def _in_threads(work: Callable[[W], None], workers: Sequence[W], left: deque[list[int]]) -> None:
    with ThreadPoolExecutor(len(workers), thread_name_prefix="device") as pool:
        try:
            for future in [pool.submit(work, worker) for worker in workers]:
                future.result()
        except BaseException:  # Ctrl-C reaches this thread alone: the others must not go on to the end
            left.clear()
            raise


def _work_off(
    batches: deque[list[int]],
    run: Callable[[list[int]], Sequence[T]],
    results: dict[int, T],
    on_rows: OnRows,
    lengths: Sequence[int] | None,
) -> None:
    """Take batches until none is left; the size that fitted once is kept."""
    size: int | None = None
    while batches:
        try:
            rest = batches.popleft()
        except IndexError:  # another thread was faster
            return
        while rest:
            now = rest[:size]
            done = _attempt(run, now)
            if done is not None:
                results.update(zip(now, done, strict=True))
                rest = rest[len(now) :]
                on_rows(len(now))
            elif len(now) > 1:
                size = len(now) // 2
            else:
                raise _too_long(now[0], lengths)


def _attempt(run: Callable[[list[int]], Sequence[T]], rows: list[int]) -> Sequence[T] | None:
    """None where memory ran out; by then what the attempt held is free again."""
    try:
        return run(rows)
    except (RuntimeError, MemoryError) as err:
        if not is_full(err):
            raise
    gc.collect()  # the traceback is gone, and with it the tensors of its frames
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def is_full(err: RuntimeError | MemoryError) -> bool:
    """Whether it says that memory ran out, of a GPU or of the machine."""
    return isinstance(err, torch.OutOfMemoryError | MemoryError) or any(text in str(err) for text in FULL)


def _too_long(row: int, lengths: Sequence[int] | None) -> ProbeError:
    size = "" if lengths is None else f" of {lengths[row]} tokens"
    return ProbeError(
        f"a single row{size} does not fit into memory",
        where=f"row {row}",
        do="allow fewer new tokens, load the model in bfloat16, or spread it over more devices (device_map='auto')",
    )


def replicas(model: PreTrainedModel, devices: Sequence[str | torch.device]) -> list[PreTrainedModel]:
    """The model on each device: itself where it already is, else a copy. One spread by a `device_map` is used as is."""
    parts = getattr(model, "hf_device_map", None) or {}
    if len(set(parts.values())) > 1 or not devices:
        return [model]
    free, copies = [model], []
    for place in map(_place, devices):
        copies.append(free.pop() if free and place == model.device else _copy_to(model, place))
    return copies


def _place(device: str | torch.device) -> torch.device:
    """The device of that name; "cuda" is "cuda:0". BadInput where there is none."""
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, ValueError) as err:  # a torch without CUDA asserts that it has it
        what = f"there is no device {str(device)!r} here: {str(err).splitlines()[0] if str(err) else err}"
        raise BadInput(what, where="devices", do="give cpu, or cuda:0, cuda:1, ... as far as there are any") from err


def _copy_to(model: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    """Weights go straight to the device: a plain deepcopy would hold them twice where the model is."""
    memo: dict[int, object] = {}
    for parameter in model.parameters():
        there = parameter.detach().to(device, copy=True)
        memo[id(parameter)] = nn.Parameter(there, requires_grad=parameter.requires_grad)
    memo |= {id(buffer): buffer.detach().to(device, copy=True) for buffer in model.buffers()}
    return copy.deepcopy(model, memo).to(device)
