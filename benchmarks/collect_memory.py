"""Is memory flat while activations are collected, however many there are?

    python benchmarks/collect_memory.py [--vectors N] [--longest TOKENS] [--folder DIR] [--json FILE]

A random-weight Llama (fp32, d = 64, 4 blocks) reads addressed random texts of many lengths, made one by one; every
position of every text is kept at every residual, attention and MLP site. A vector is one position at one site.
`collect` writes them to shards of 64 MiB in a temporary folder, which is removed at the end; then one site is read
back in shuffled order.

    growth = memory at 100 % of the vectors - at 10 %     "resident": VmRSS, after each shard; "most": VmHWM, ever held

Linux only: it reads /proc.
"""

import argparse
import json
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from probe.activations.collect import SHARD, Text, collect
from probe.activations.shards import Activations
from probe.models.hooks.sites import Site
from probe.rng import numpy_rng, torch_rng

WIDTH, LAYERS, VOCAB, SHORTEST, MB = 64, 4, 512, 16, 1e6
SITES = (
    *(Site("resid", layer) for layer in range(LAYERS + 1)),
    *(Site(kind, layer) for kind in ("attn", "mlp") for layer in range(LAYERS)),
)
MARKS = (0.1, 0.5, 1.0)  # of the vectors


def model_of() -> PreTrainedModel:
    """Random weights, drawn from our own address."""
    config = LlamaConfig(
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=4,
        vocab_size=VOCAB,
        max_position_embeddings=4096,
    )
    model, rng = LlamaForCausalLM(config).eval(), torch_rng("memory model")
    for weight in (w for w in model.parameters() if w.ndim == 2):
        weight.data.normal_(0, 0.05, generator=rng)
    return model


def texts(rows: int, longest: int) -> Iterator[Text]:
    """With `rows` tokens at least, one text at a time: nobody holds them all."""
    number = 0
    while rows > 0:
        rng = numpy_rng("memory text", number)
        ids = tuple(rng.integers(1, VOCAB, size=int(rng.integers(SHORTEST, longest + 1))).tolist())
        yield Text(f"text {number}", 0, ids, tuple(range(len(ids))))
        rows, number = rows - len(ids), number + 1


def held() -> dict[str, float]:
    """Resident memory of this process now, and the most so far, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    said = dict(line.split(":", 1) for line in lines)
    return {
        name: round(int(said[key].split()[0]) * 1024 / MB, 1) for name, key in (("now", "VmRSS"), ("most", "VmHWM"))
    }


def measure(folder: Path, rows: int, longest: int, bar: Progress) -> dict[str, Any]:
    """Collect, then read one site back; memory after every shard and every batch."""
    model, samples, before = model_of(), list[dict[str, float]](), held()
    collecting = bar.add_task("collect", total=rows)
    start = time.monotonic()

    def on_shard(shards: int, done: int) -> None:
        samples.append({"vectors": done * len(SITES)} | held())
        bar.update(collecting, completed=done)

    found = collect(model, texts(rows, longest), SITES, folder, identity="memory", on_shard=on_shard)
    seconds = time.monotonic() - start
    written = sum(file.stat().st_size for file in folder.iterdir())
    return facts(samples, seconds) | {"before_mb": before, "bytes": written, "read_back": read_back(found, bar)}


def facts(samples: list[dict[str, float]], seconds: float) -> dict[str, Any]:
    """What the samples come to: memory at the marks, and how much it grew from the first to the last."""
    vectors = int(samples[-1]["vectors"])
    at = {f"{mark:.0%}": next(s for s in samples if s["vectors"] >= mark * vectors) for mark in MARKS}
    first, last = at["10%"], at["100%"]
    growth = {name: last[key] - first[key] for name, key in (("resident", "now"), ("most", "most"))}
    millions = (last["vectors"] - first["vectors"]) / 1e6
    return {
        "vectors": vectors,
        "seconds": round(seconds, 1),
        "vectors_per_second": round(vectors / seconds),
        "shards": len(samples),
        "resident_mb": {mark: sample["now"] for mark, sample in at.items()},
        "most_mb": {mark: sample["most"] for mark, sample in at.items()},
        "growth_mb": {name: round(by, 1) for name, by in growth.items()},
        "growth_mb_per_million": {name: round(by / millions, 3) for name, by in growth.items()},
        "samples": [[int(s["vectors"]), s["now"], s["most"]] for s in samples],
    }


def read_back(found: Activations, bar: Progress) -> dict[str, Any]:
    """One site in shuffled order, 4096 rows a batch: the rows, the seconds and the memory at the marks."""
    reading, rows, samples, start = bar.add_task("read back", total=len(found)), 0, [], time.monotonic()
    for batch in found.batches("resid.2", 4096, ("memory",)):
        rows += len(batch.values)
        samples.append((rows, held()["now"]))
        bar.update(reading, completed=rows)
    at = {f"{mark:.0%}": next(now for seen, now in samples if seen >= mark * rows) for mark in MARKS}
    return {"rows": rows, "seconds": round(time.monotonic() - start, 1), "resident_mb": at}


def main() -> None:
    """Collect, print what memory did, and with --json keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=float, default=1e7, help="at least so many")
    parser.add_argument("--longest", type=int, default=1024, help="tokens of a text, at most")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = -int(-args.vectors // len(SITES))
    needed = rows * (len(SITES) * WIDTH * 4 + 12) + 2 * SHARD
    with tempfile.TemporaryDirectory(dir=args.folder) as folder, Progress(console=Console(stderr=True)) as bar:
        if shutil.disk_usage(folder).free < needed:
            raise SystemExit(f"{needed / 1e9:.1f} GB are needed in {folder}: give --folder, or fewer --vectors")
        result = measure(Path(folder), rows, args.longest, bar)
    about = {"width": WIDTH, "sites": len(SITES), "longest_text": args.longest, "shard_bytes": SHARD}
    print(json.dumps({name: value for name, value in result.items() if name != "samples"}, indent=1))
    if args.json:
        args.json.write_text(json.dumps({"about": about | {"torch": torch.__version__}} | result) + "\n")


if __name__ == "__main__":
    main()
