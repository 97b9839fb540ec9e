"""What do exact token scores cost at a real vocabulary, beyond the matrix product that nobody can avoid?

    python benchmarks/score_tokens.py [--rounds N] [--tokens N] [--weights fp32 bf16] [--json FILE] [--device cuda]

Log-prob, entropy, margin and rank of 2,048 tokens at V = 151,936, d = 896 (Qwen2.5-0.5B; with --device cuda a 7B head
too), from random final hidden states and random weights, everything fp32, two threads. They take turns in one process:

    matmul   the bare product: one `torch.mm` of the same operands into a table that is already there
    tiled    the same product in the tiles that ours takes, into one tile
    ours     `stream_scores`
    naive    logits, log_softmax, exp, sum, gather, topk, rank
    chunks   naive, 64 tokens at a time

Ratios are taken turn by turn: `share` is the faster of matmul and tiled over ours. With bf16 weights the bare product
is that of fp32 copies made beforehand; all others make theirs as they go. On CUDA operands are bf16, products fp32, and
the bare product is that of bf16 operands: the limit.

Memory is that of a new process per form: the high-water mark of its resident memory (`VmHWM`) after one call less
that before it, when weights, states and targets are there and nothing was ever run; library code paged in by the call
and the buffers of the matrix library are part of it. On CUDA it is that of the allocator.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))
from probe.tokens.stream import Head, stream_scores, tile

SHAPES = {"0.5B": (151_936, 896), "7B": (152_064, 3584)}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
THREADS = 2
CHUNK = 64
FORMS = ("matmul", "tiled", "ours", "naive", "chunks")
Operands = tuple[Tensor, Tensor, Tensor]  # states, weights, targets


def operands(shape: str, n: int, weights: str, device: str) -> Operands:
    """Drawn in place: no copy of the weights is ever made. Logits have a standard deviation of 3."""
    (words, d), rng = SHAPES[shape], torch.Generator(device).manual_seed(0)
    weight = torch.empty(words, d, dtype=DTYPES[weights], device=device).normal_(0, 3 / d**0.5, generator=rng)
    states = DTYPES[weights] if device == "cuda" else torch.float32
    hidden = torch.empty(n, d, dtype=states, device=device).normal_(generator=rng)
    return hidden, weight, torch.randint(words, (n,), generator=rng, device=device)


def product(hidden: Tensor, weight: Tensor) -> Tensor:
    """Logits in fp32."""
    if hidden.is_cuda and hidden.dtype != torch.float32:
        return torch.mm(hidden, weight.T, out_dtype=torch.float32)
    return hidden @ weight.float().T


def naive(hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
    logp = torch.log_softmax(product(hidden, weight), -1)
    chosen = logp.gather(-1, targets[:, None])
    top = logp.topk(2).values
    return chosen[:, 0], -(logp.exp() * logp).sum(-1), top[:, 0] - top[:, 1], (logp > chosen).sum(-1)


def chunks(hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
    weight = weight if hidden.is_cuda else weight.float()
    parts = zip(hidden.split(CHUNK), targets.split(CHUNK), strict=True)
    found = [naive(some, weight, some_targets) for some, some_targets in parts]
    return tuple(torch.cat(column) for column in zip(*found, strict=True))


def ours(hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
    return stream_scores(hidden, Head(weight), targets)


def bare(hidden: Tensor, weight: Tensor) -> dict[str, Callable[[], object]]:
    """The two bare products, with their output and, on the CPU, fp32 weights made beforehand."""
    weight = weight if hidden.is_cuda else weight.float()
    table = torch.empty(len(hidden), len(weight), dtype=hidden.dtype, device=hidden.device)
    words_of_tile, rows = tile(Head(weight), len(hidden))

    def tiled() -> None:
        for words in weight.split(words_of_tile):
            for some in hidden.split(rows):
                torch.mm(some, words.T, out=table.view(-1)[: len(some) * len(words)].view(len(some), len(words)))

    return {"matmul": lambda: torch.mm(hidden, weight.T, out=table), "tiled": tiled}


def clock(form: Callable[[], object], device: str) -> dict[str, float]:
    """Seconds of one call: wall, and CPU of all threads."""
    if device == "cuda":
        torch.cuda.synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    form()
    if device == "cuda":
        torch.cuda.synchronize()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


@torch.inference_mode()
def measure(shape: str, n: int, weights: str, device: str, rounds: int) -> dict[str, Any]:
    """Seconds of each form, turn by turn, the order of a round alternating; the first round warms up."""
    given = operands(shape, n, weights, device)
    forms = bare(*given[:2]) | {f.__name__: (lambda f=f: f(*given)) for f in (ours, naive, chunks)}
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in FORMS}
    for i in range(rounds + 1):
        for name in FORMS if i % 2 else reversed(FORMS):
            seen[name].append(clock(forms[name], device))
    seconds = {unit: {x: [s[unit] for s in answers[1:]] for x, answers in seen.items()} for unit in ("wall", "cpu")}
    words, d = SHAPES[shape]
    return {
        "n": rounds,
        "tokens": n,
        "error": error(given),
        "teraflop_per_second": round(2 * n * words * d / min(seconds["wall"]["matmul"]) / 1e12, 3),
        **{unit: ratios(taken) for unit, taken in seconds.items()},
        "seconds": {unit: {x: spread(values) for x, values in taken.items()} for unit, taken in seconds.items()},
        "raw": seconds,
    }


def ratios(taken: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    bests = [min(pair) for pair in zip(taken["matmul"], taken["tiled"], strict=True)]

    def over(tops: list[float], bottom: str) -> dict[str, float]:
        return spread([top / ours for top, ours in zip(tops, taken[bottom], strict=True)])

    return {
        "share": over(bests, "ours"),
        "share_of_matmul": over(taken["matmul"], "ours"),
        "naive_over_ours": over(taken["naive"], "ours"),
        "chunks_over_ours": over(taken["chunks"], "ours"),
    }


def error(given: Operands) -> float:
    """The largest error of log-prob, entropy and margin of 16 tokens against float64."""
    hidden, weight, targets = (given[0][:16], given[1], given[2][:16])
    found = ours(hidden, weight, targets)
    logp = torch.cat([hidden.double() @ part.double().T for part in weight.split(2048)], -1).log_softmax(-1)
    chosen, top = logp.gather(-1, targets[:, None])[:, 0], logp.topk(2).values
    exact = (chosen, -(logp.exp() * logp).sum(-1), top[:, 0] - top[:, 1])
    return max((mine - true).abs().max().item() for mine, true in zip(found, exact, strict=False))


def memory(shape: str, n: int, weights: str, device: str) -> dict[str, float]:
    """MB above the operands at the peak of one call, each form in a process of its own."""
    found = {}
    for form in ("ours", "naive", "chunks"):
        command = [sys.executable, __file__, "--peak", form, "--shape", shape, "--tokens", str(n)]
        command += ["--weights", weights, "--device", device]
        found[form] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


@torch.inference_mode()
def peak(form: str, shape: str, n: int, weights: str, device: str) -> float:
    """MB; the body of the process that `memory` starts."""
    given = operands(shape, n, weights, device)
    before = high_water(device)
    globals()[form](*given)
    return round((high_water(device) - before) / 1e6, 1)


def high_water(device: str) -> int:
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if not status.is_file():  # no Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)
    # Not ru_maxrss: a new process begins with that of the one that started it.
    return next(int(row.split()[1]) * 1024 for row in status.read_text().splitlines() if row.startswith("VmHWM"))


def spread(values: list[float]) -> dict[str, float]:
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, 4) for name, value in found.items()}


def line(name: str, result: dict[str, Any]) -> str:
    """One case in words: medians, with the smallest and the largest."""

    def show(s: dict[str, float]) -> str:
        return f"{s['median']:.2f} ({s['min']:.2f}-{s['max']:.2f})"

    wall, megabytes = result["wall"], result["megabytes"]
    tokens = result["tokens"] / result["seconds"]["wall"]["ours"]["median"]
    return (
        f"{name} (n = {result['n']}), wall: ours has {show(wall['share'])} of the speed of the faster bare product, "
        f"{show(wall['naive_over_ours'])} x naive, {show(wall['chunks_over_ours'])} x naive in chunks; {tokens:.0f} "
        f"tokens/s; by CPU seconds {show(result['cpu']['share'])} and {show(result['cpu']['naive_over_ours'])} x. "
        f"Peak MB above the weights: ours {megabytes['ours']:.0f}, naive {megabytes['naive']:.0f}, in chunks "
        f"{megabytes['chunks']:.0f}. Largest error {result['error']:.1e}; bare product "
        f"{result['teraflop_per_second']} TFLOP/s"
    )


def main() -> None:
    """Measure every case and print a line for each; with --json keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="timed turns of each form")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--weights", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--shape", nargs="+", choices=SHAPES, help="default: 0.5B, and on CUDA 7B too")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--peak", choices=FORMS[2:], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("no CUDA device is here")
    torch.set_num_threads(THREADS)
    shapes = args.shape or (list(SHAPES) if args.device == "cuda" else ["0.5B"])
    kinds = ["bf16"] if args.device == "cuda" else args.weights
    if args.peak:
        print(peak(args.peak, shapes[0], args.tokens, kinds[0], args.device))
        return
    results = {}
    for shape, weights in ((shape, weights) for shape in shapes for weights in kinds):
        case = (shape, args.tokens, weights, args.device)
        results[f"{shape} {weights}"] = {"megabytes": memory(*case), **measure(*case, args.rounds)}
        print(line(f"{shape} {weights}", results[f"{shape} {weights}"]), flush=True)
    if args.json:
        device = torch.cuda.get_device_name() if args.device == "cuda" else platform.machine()
        machine = {"system": platform.system(), "device": device, "cpus": os.cpu_count(), "threads": THREADS}
        rows = [f'"machine": {json.dumps(machine)}', *(f'"{name}": {json.dumps(r)}' for name, r in results.items())]
        args.json.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
