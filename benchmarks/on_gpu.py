"""Is what `--dry` promises true on a GPU, and what do sampling, scoring, reading and steering cost there?

    python benchmarks/on_gpu.py [--models qwen2.5-math-1.5b qwen2.5-math-7b] [--rows N] [--new N] [--json FILE]

Random weights in the shape that the manifest gives each model, bf16, transformers' default attention. All ways take
turns in one process, the first turn not counted; medians of pairwise ratios, min to max.

    sample   `generate` of ours, T = 1, N rows of 300 prompt tokens and as many new tokens as asked, nothing ends early,
             over plain `model.generate` of the same rows (greedy, no scores kept)
    score    exact log-prob, entropy, margin and rank of the sampled text; tokens a second, and its share of the bf16
             limit that the data sheet gives (2 x parameters operations a token over 989 TFLOP/s)
    read     one site in the middle, over the plain forward; `run` with all logits, `read` stopping there
    steer    a vector added at the middle site while the rows are sampled, over sampling without
    budget   memory and hours that `--dry` announces for exactly this sampling and scoring, over what was measured:
             below 1 a user was promised too little
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from probe.api import load
from probe.checkpoints.checkpoint import Checkpoint
from probe.experiments.budget import PROMPT, Budget, Work, budget
from probe.models.hooks.edits import Add, Edit
from probe.models.hooks.forward_hooks import editing, read, run
from probe.models.hooks.sites import site as site_of
from probe.models.sampling.transformers_sampler import generate
from probe.rng import torch_rng
from probe.tokens.score import score

PEAK = 989e12  # bf16 operations a second without sparsity, H100's data sheet
HEADS = {1536: 12, 3584: 28}  # attention heads of the two widths
INNER = {1536: 8960, 3584: 18944}


@dataclass(frozen=True)
class Sampled:
    """A job for the budget: so many rows sampled, and read once."""

    work: tuple[Work, ...]
    needs: tuple[Any, ...] = ()


def model_of(checkpoint: Checkpoint) -> PreTrainedModel:
    """Random weights, made on the device."""
    shape = checkpoint.entry.shape
    config = Qwen2Config(
        vocab_size=shape.d_vocab,
        hidden_size=shape.d_model,
        intermediate_size=INNER[shape.d_model],
        num_hidden_layers=shape.layers,
        num_attention_heads=HEADS[shape.d_model],
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=4096,
        tie_word_embeddings=shape.d_model == 1536,
        eos_token_id=None,
        bos_token_id=None,
        pad_token_id=None,
        dtype=torch.bfloat16,
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            return Qwen2ForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds until the device is done, and what came back."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    result = call()
    torch.cuda.synchronize()
    return time.perf_counter() - start, result


def turns(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, turn by turn, the order alternating; the first turn is thrown away."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name in list(ways)[:: 1 if turn % 2 else -1]:
            taken, _ = timed(ways[name])
            if turn:
                seconds[name].append(taken)
    return seconds


def ratio(above: list[float], below: list[float]) -> dict[str, float]:
    """Median of the pairwise ratios, smallest and largest."""
    each = [a / b for a, b in zip(above, below, strict=True)]
    return {"median": statistics.median(each), "min": min(each), "max": max(each), "n": len(each)}


def measure(name: str, rows: int, new: int, rounds: int) -> dict[str, Any]:
    """All figures of one model."""
    checkpoint = load(name, dtype="bfloat16", device_map="cuda")
    model = model_of(checkpoint)
    rng = torch_rng("on gpu", name)
    words = checkpoint.entry.shape.d_vocab
    prompts = torch.randint(10, words, (rows, PROMPT), generator=rng).tolist()
    draws = torch.rand(rows, new, generator=rng).clamp(1e-6, 1 - 1e-6)
    site = site_of(f"resid.{checkpoint.entry.shape.layers // 2}")
    vector = torch.randn(model.config.hidden_size, generator=rng)
    edits = [Edit(site, Add(vector / vector.norm(), 4.0))]

    def ours() -> Any:
        return generate(model, prompts, n_samples=1, max_new=new, stop=(), pad=0, uniforms=draws, batch=rows)

    def steered() -> Any:
        with editing(model, edits):
            return ours()

    ids = torch.tensor(prompts, device="cuda")
    plain = GenerationConfig(max_new_tokens=new, do_sample=False, pad_token_id=0, eos_token_id=None, use_cache=True)

    def naked() -> Tensor:
        return model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=plain)

    torch.cuda.reset_peak_memory_stats()
    texts = [row.tolist() for row in ours().ids]
    sampling = turns({"ours": ours, "plain": naked, "steered": steered}, rounds)
    scoring = turns({"score": lambda: score(model, prompts, texts)}, rounds)["score"]
    memory = torch.cuda.max_memory_allocated()
    with torch.no_grad():
        reading = turns(
            {
                "plain": lambda: model(ids[:16]).logits,
                "run": lambda: run(model, ids[:16], [site]),
                "read": lambda: read(model, ids[:16], [site]),
            },
            rounds,
        )
    promised = budget([Sampled((Work(checkpoint, rows, new, rows, read=rows * (PROMPT + new)),))])  # type: ignore[list-item]
    assert isinstance(promised, Budget)
    seconds = statistics.median(sampling["ours"]) + statistics.median(scoring)
    read_tokens = rows * (PROMPT + new) / statistics.median(scoring)
    return {
        "rows": rows,
        "prompt": PROMPT,
        "new": new,
        "parameters": sum(p.numel() for p in model.parameters()),
        "sampled tokens a second": rows * new / statistics.median(sampling["ours"]),
        "sample over plain": ratio(sampling["ours"], sampling["plain"]),
        "steered over sample": ratio(sampling["steered"], sampling["ours"]),
        "scored tokens a second": read_tokens,
        "scoring, share of the bf16 limit": read_tokens * 2 * checkpoint.entry.parameters / PEAK,
        "run over plain": ratio(reading["run"], reading["plain"]),
        "read over plain": ratio(reading["read"], reading["plain"]),
        "gigabytes measured": memory / 1e9,
        "gigabytes announced": promised.memory / 1e9,
        "hours measured": seconds / 3600,
        "hours announced": promised.hours,
        "announced over measured, memory": promised.memory / memory,
        "announced over measured, hours": promised.hours * 3600 / seconds,
    }


def main() -> None:
    """Measure every model; with --json keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["qwen2.5-math-1.5b", "qwen2.5-math-7b"])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--new", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("no CUDA device is here")
    found: dict[str, Any] = {}
    for name in args.models:
        found[name] = measure(name, args.rows, args.new, args.rounds)
        print(name, json.dumps(found[name], indent=1), flush=True)
        torch.cuda.empty_cache()
        if args.json:
            machine = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "cpus": os.cpu_count()}
            args.json.write_text(json.dumps({"machine": machine, **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
