"""What does reading one site of a model cost, or steering it while it writes, here, in TransformerLens and in nnsight?

    python benchmarks/read_and_steer.py [--length T ...] [--pairs N] [--layers L] [--json FILE]

One random-weight Qwen2 (fp32, d = 256), one process, one thread; every way has the same weights and the same ids.

    read    one forward over T tokens, the stream entering the middle block is kept
            `run` computes all logits as the plain forward does; `read` stops behind the site and computes none
    steer   greedy generation of 64 tokens behind a prompt of T, a vector added there at every position

The peers are used as their documentation shows, not through our backends: `run_with_hooks`, `hooks` and `generate` of
TransformerLens's bridge (eager attention, its own loop over its cache), `trace` of nnsight, around transformers'
`generate` for steering. The plain forward and plain `generate` of transformers are what all are divided by, turn by
turn: CPU seconds (user + system), the order of turns alternating, medians of pairwise ratios with smallest and largest.
That all of them read the same states and write the same steered tokens is checked before anything is timed.
"""

import argparse
import json
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nnsight
import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from probe.models.hooks.backends.nnsight_ import LOOP_ENDS, Nnsight
from probe.models.hooks.backends.transformer_lens import Lens
from probe.models.hooks.edits import Add, Edit
from probe.models.hooks.forward_hooks import editing, read, run
from probe.models.hooks.sites import Site
from probe.rng import torch_rng

WIDTH, VOCAB, NEW, WARM_UP = 256, 4096, 64, 2

Ways = dict[str, Callable[[], Tensor]]


def model_of(layers: int) -> PreTrainedModel:
    """Random weights, drawn from our own address."""
    config = Qwen2Config(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=8,
        vocab_size=VOCAB,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    model = Qwen2ForCausalLM(config).eval()
    rng = torch_rng("benchmark model")
    for weight in (w for w in model.parameters() if w.ndim == 2):
        weight.data.normal_(0, 0.05, generator=rng)
    return model


def reading(model: PreTrainedModel, lens: Lens, tree: Nnsight, ids: Tensor) -> Ways:
    """Each way to one tensor, [1 T d]; the plain forward gives its logits."""
    layer = model.config.num_hidden_layers // 2
    where, block = Site("resid", layer), tree.tree.model.layers[layer]

    def by_lens() -> Tensor:
        kept: list[Tensor] = []
        lens.bridge.run_with_hooks(ids, fwd_hooks=[(f"blocks.{layer}.hook_in", lambda x, hook: kept.append(x))])
        return kept[0]

    def by_nnsight() -> Tensor:
        with tree.tree.trace(input_ids=ids, use_cache=False):
            kept = nnsight.save(block.input)
        return kept

    return {
        "plain": lambda: model(input_ids=ids, use_cache=False).logits,
        "read": lambda: read(model, ids, [where])[where],
        "run": lambda: run(model, ids, [where]).read[where],
        "transformer-lens": by_lens,
        "nnsight": by_nnsight,
    }


def steering(model: PreTrainedModel, lens: Lens, tree: Nnsight, ids: Tensor) -> Ways:
    """Each way to the new tokens, [1 NEW]."""
    layer, mask = model.config.num_hidden_layers // 2, torch.ones_like(ids)
    vector = torch.randn(WIDTH, generator=torch_rng("benchmark vector"))
    block, config = tree.tree.model.layers[layer], GenerationConfig(max_new_tokens=NEW, do_sample=False, pad_token_id=0)

    def plain(of: PreTrainedModel = model) -> Tensor:
        return of.generate(ids, attention_mask=mask, generation_config=config)[:, ids.shape[1] :]

    def by_hooks() -> Tensor:
        with editing(model, [Edit(Site("resid", layer), Add(vector))]):
            return plain()

    def by_lens() -> Tensor:
        with lens.bridge.hooks(fwd_hooks=[(f"blocks.{layer}.hook_in", lambda x, hook: x + vector)]):
            new = lens.bridge.generate(ids, max_new_tokens=NEW, do_sample=False, stop_at_eos=False, verbose=False)
        return new[:, ids.shape[1] :]

    def by_nnsight() -> Tensor:
        made: list[Tensor] = []
        with tree.tree.trace(ids, fn=lambda _: made.append(plain(tree.shadow))) as tracer:
            for _ in tracer.iter[:]:
                block.input = block.input + vector
        return made[0]

    return {"plain": plain, "hooks": by_hooks, "transformer-lens": by_lens, "nnsight": by_nnsight}


def measure(ways: Ways, pairs: int) -> dict[str, Any]:
    """CPU seconds of each way, `pairs` turns, and their ratios to plain."""
    found = {name: way() for name, way in ways.items() if name != "plain"}  # which also warms up
    first = next(iter(found.values()))
    for name, there in found.items():
        if not torch.allclose(there.float(), first.float(), atol=1e-3):
            raise SystemExit(f"{name} does not find what the others find")
    seen: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(WARM_UP + pairs):
        for name in list(ways) if turn % 2 else reversed(ways):
            start = time.process_time()
            ways[name]()
            seen[name].append(time.process_time() - start)
    timed = {name: seconds[WARM_UP:] for name, seconds in seen.items()}
    return {
        "n": pairs,
        "seconds": {name: spread(seconds) for name, seconds in timed.items()},
        "over_plain": {
            name: spread([s / p for s, p in zip(timed[name], timed["plain"], strict=True)])
            for name in ways
            if name != "plain"
        },
        "raw": {name: [round(s, 5) for s in seconds] for name, seconds in timed.items()},
    }


def spread(values: list[float]) -> dict[str, float]:
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, 4) for name, value in found.items()}


def line(name: str, result: dict[str, Any]) -> str:
    """One case in words: medians, with the smallest and the largest."""
    ratios = ", ".join(
        f"{way} {s['median']:.3f} ({s['min']:.2f}-{s['max']:.2f})" for way, s in result["over_plain"].items()
    )
    return (
        f"{name}: plain {1000 * result['seconds']['plain']['median']:.0f} ms; over plain, n = {result['n']}: {ratios}"
    )


def main() -> None:
    """Measure reading and steering at each length and print a line for each; with --json keep the raw figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", nargs="+", type=int, default=[128, 2048], help="tokens read, or of the prompt")
    parser.add_argument("--pairs", type=int, default=21, help="timed turns")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", LOOP_ENDS, UserWarning)
    model, results = model_of(args.layers), {}
    lens, tree = Lens(model), Nnsight(model)
    for length in args.length:
        ids = torch.randint(VOCAB, (1, length), generator=torch_rng("benchmark ids", length))
        for what, make in (("read", reading), ("steer", steering)):
            with torch.no_grad():
                results[f"{what} {length}"] = measure(make(model, lens, tree, ids), args.pairs)
            print(line(f"{what}, T = {length}", results[f"{what} {length}"]), flush=True)
    if args.json:
        facts = {"layers": args.layers, "width": WIDTH, "new": NEW, "torch": torch.__version__}
        args.json.write_text(json.dumps({"model": facts, "cases": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
