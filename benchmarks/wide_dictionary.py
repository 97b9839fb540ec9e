"""Does a dictionary of a 7B pair fit on this machine, and does the plan say what it takes?

    python benchmarks/wide_dictionary.py [--d 3584] [--latents 65536] [--vocabulary 151936] [--steps 1] [--json FILE]

One process: rows of two models drawn on planted directions, `fitting.training.train` for STEPS steps (BatchTopK, with
its calibration on held rows, as a run does it), the dictionary written and read again, and the cross-entropy that
its reconstructions leave in a Qwen2-shaped model of one block whose output head has the real vocabulary. Told: the plan
of `--dry` (`experiments/dictionaries/fit_job.fitting`) beside the high-water mark of resident memory (VmHWM) after each
stage, seconds of a step, shapes and dtypes.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

sys.path.insert(0, str(Path(__file__).parent.parent))
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.exchange.folder import Kept, read_dictionary, write_dictionary
from probe.dictionaries.fitting.health import recovered
from probe.dictionaries.fitting.options import Fit
from probe.dictionaries.fitting.stream import Table
from probe.dictionaries.fitting.training import train
from probe.experiments.dictionaries.fit_job import fitting
from probe.models.hooks.sites import site
from probe.rng import torch_rng

GIGA = 1e9
SITE = "resid.1"


def peak() -> float:
    """Gigabytes of resident memory at the highest so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / GIGA
    return float("nan")


def rows(d: int, n: int) -> Table:
    """Unequal rows: a few of 512 directions each, and a second model that is the first turned a little."""
    draw = torch_rng("wide dictionary", d)
    directions = torch.randn(512, d, generator=draw)
    before = (
        torch.randn(n, 16, generator=draw).abs()[..., None].mul(directions[torch.randint(512, (n, 16), generator=draw)])
    )
    x = before.sum(1)
    return Table(torch.stack([x, x + 0.1 * torch.randn(n, d, generator=draw)], 1), site(SITE), ("before", "after"))


def model(d: int, vocabulary: int) -> Qwen2ForCausalLM:
    """One block of small heads, and the embedding and head of the real thing, tied."""
    shape: dict[str, Any] = {"num_hidden_layers": 1, "num_attention_heads": 28 if d % 28 == 0 else 4}
    shape["num_key_value_heads"] = 4
    config = Qwen2Config(vocab_size=vocabulary, hidden_size=d, intermediate_size=64, tie_word_embeddings=True, **shape)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Qwen2ForCausalLM(config).eval()


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    told.add_argument("--d", type=int, default=3584)
    told.add_argument("--latents", type=int, default=65_536)
    told.add_argument("--vocabulary", type=int, default=151_936)
    told.add_argument("--steps", type=int, default=1)
    told.add_argument("--json", type=Path)
    asked = told.parse_args()
    fit = Fit(asked.latents, 64, "batchtopk", steps=asked.steps, batch=512, held=512)
    source = rows(asked.d, 2048)
    planned = fitting(fit, 2, asked.d)
    found: dict[str, Any] = {"d": asked.d, "latents": asked.latents, "vocabulary": asked.vocabulary, "batch": fit.batch}
    found["planned_gb"] = (planned.weights + planned.batch) / GIGA
    before, begun = peak(), time.perf_counter()
    log: list[dict[str, Any]] = []
    dictionary = train(source, fit, on_log=log.append)
    found |= {"steps": asked.steps, "fit_seconds": time.perf_counter() - begun, "fit_gb": peak() - before}
    found |= {"loss": log[-1]["loss"], "fvu": log[-1]["fvu"]}
    found["shapes"] = {name: [*getattr(dictionary, name).shape] for name in ("W_enc", "W_dec", "b_enc", "b_dec")}
    found["dtype"] = str(dictionary.W_enc.dtype)
    found["read_again"] = _read_again(dictionary)
    found["recovered"] = _recovered(dictionary, asked.d, asked.vocabulary)
    found["peak_gb"] = peak()
    print(json.dumps(found, indent=1))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


def _read_again(dictionary: Dictionary) -> bool:
    """Whether the folder holds every bit of it."""
    with tempfile.TemporaryDirectory() as folder:
        write_dictionary(Kept(dictionary, {}, {}), Path(folder))
        again = read_dictionary(Path(folder)).dictionary
    return all(torch.equal(getattr(again, name), getattr(dictionary, name)) for name in ("W_enc", "W_dec"))


def _recovered(dictionary: Dictionary, d: int, vocabulary: int) -> list[float]:
    """Cross-entropies in nats: clean, with reconstructions, with the mean."""
    ids = torch.randint(vocabulary, (2, 32), generator=torch_rng("wide dictionary", "ids"))
    one = model(d, vocabulary)
    with torch.no_grad():
        side = recovered([one, one], dictionary, ids)[0]
    return [side.clean, side.said, side.ablated]


if __name__ == "__main__":
    main()
