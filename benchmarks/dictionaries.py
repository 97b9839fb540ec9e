"""What does a training step of a sparse dictionary cost here, in SAELens, and in a dense autograd loop?

    python benchmarks/dictionaries.py [--case NAME ...] [--what time fvu memory] [--way NAME ...]
        [--turns N] [--json FILE]

Rows of 2,048 planted directions, d = 128, 1,024 latents, k = 16, batches of 4,096, fp32, one thread. All ways train on
the same rows in the same order, at the same rate and schedule; aux loss for dead latents in all of them.

    ours       `probe.dictionaries.training.update`
    saelens    `SAETrainer.step` of SAELens: its TopK or BatchTopK, its auxiliary loss, its gradient clipping
    dense      the loop that one would write: tables [row latent], autograd, Adam, unit decoders; no SAELens in it
    product    the one dense product that a step cannot do without, z W_enc' + b_enc, into a table that is there

time: a turn is STEPS steps of each way, in alternating order; CPU seconds, ratios turn by turn, medians with smallest
and largest. fvu: LEARN steps of batches of 1,024, each way from its own random start, told on rows that none has seen;
BatchTopK of SAELens and of the dense loop choose over those rows at once, ours by its calibrated threshold. memory: of
a new process per way, the high-water mark of its resident memory after two steps less that before the first. What is in
the file of --json already, and not measured again, stays.
"""

import argparse
import json
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))
from probe.dictionaries.activation import BatchTopK, TopK
from probe.dictionaries.fitting.calibrate import calibrated
from probe.dictionaries.fitting.options import Fit
from probe.dictionaries.fitting.parameters import start, to_dictionary
from probe.dictionaries.fitting.planted import planted
from probe.dictionaries.fitting.schedule import rate
from probe.dictionaries.fitting.stream import Stream, Table
from probe.dictionaries.fitting.training import optimiser, update

D, N, K, BATCH, ROWS, STEPS, WARM_UP = 128, 1024, 16, 4096, 24_576, 3, 1
LEARN, LEARN_BATCH = 150, 1024
TESTED = 4096  # rows that are never trained on
CASES = {"topk": ("topk", 1), "batchtopk": ("batchtopk", 1)}
CASES |= {"crosscoder topk": ("topk", 2), "crosscoder batchtopk": ("batchtopk", 2)}
Way = tuple[Callable[[int], Any], Callable[[Tensor], Tensor]]  # a step, and how rows are reconstructed at the end


def recipe(kind: str, steps: int, batch: int = BATCH) -> Fit:
    return Fit(N, K, kind, steps=steps, batch=batch, held=TESTED, lr=3e-3, warm_up=20, dead_after=100_000)


def rows_of(models: int) -> Table:
    truth = planted(2048, D, K, "benchmark", models=models, cosine=0.8, noise=0.05)
    return Table(truth.rows(ROWS), models=("before", "after")[:models])


def stream_of(source: Table, fit: Fit) -> Stream:
    return Stream(source, fit.batch, fit.held, ("dictionary", *fit.seed))


def ours(source: Table, fit: Fit) -> Way:
    stream = stream_of(source, fit)
    held = list(stream.held_rows())
    parameters = start(fit, held)
    adam, since = optimiser(parameters, fit), torch.zeros(N, dtype=torch.int64)

    def reconstruct(x: Tensor) -> Tensor:
        found = to_dictionary(parameters, fit, source.site, source.models)
        return (found if fit.activation == "topk" else calibrated(found, held, K)).reconstruct(x)

    return lambda t: update(parameters, fit, adam, since, stream.read(t), t), reconstruct


def dense(source: Table, fit: Fit) -> Way:
    stream = stream_of(source, fit)
    begun = start(fit, stream.held_rows())
    W_enc, b_enc, W_dec, b_dec = (begun.W_enc, begun.b_enc, begun.W_dec, begun.b_dec)
    adam = torch.optim.Adam([W_enc, b_enc, W_dec, b_dec])
    since, choose = torch.zeros(N), TopK(K) if fit.activation == "topk" else BatchTopK(K)

    def through(y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pre = (y - b_dec) @ W_enc.T + b_enc
        f = choose(pre)
        return pre, f, f @ W_dec + b_dec

    def step(t: int) -> None:
        adam.param_groups[0]["lr"] = rate(fit, t)
        y = begun.flat(stream.read(t))
        pre, f, said = through(y)
        loss = (said - y).square().sum(1).mean()
        if (dead := since > fit.dead_after).any():
            most = min(y.shape[1] // 2, int(dead.sum()))
            top = pre.masked_fill(~dead, -torch.inf).topk(most)
            aux = torch.zeros_like(pre).scatter(1, top.indices, top.values) @ W_dec
            loss = loss + most / (y.shape[1] // 2) * (aux - (y - said).detach()).square().sum(1).mean()
        adam.zero_grad()
        loss.backward()
        with torch.no_grad():
            W_dec.grad -= (W_dec.grad * W_dec).sum(1, keepdim=True) * W_dec
            adam.step()
            W_dec.div_(W_dec.norm(dim=1, keepdim=True))
            since.add_(len(y)).masked_fill_((f > 0).any(0), 0)

    def reconstruct(x: Tensor) -> Tensor:
        return through(begun.flat(x))[2].view(x.shape) / begun.scale[:, None]

    return step, reconstruct


def saelens(source: Table, fit: Fit) -> Way:
    from sae_lens import (
        BatchTopKTrainingSAE,
        BatchTopKTrainingSAEConfig,
        LoggingConfig,
        SAETrainer,
        TopKTrainingSAE,
        TopKTrainingSAEConfig,
    )
    from sae_lens.config import SAETrainerConfig

    stream, top = stream_of(source, fit), fit.activation == "topk"
    begun = start(fit, stream.held_rows())
    shape = {"d_in": D, "d_sae": N, "k": K, "decoder_init_norm": 1.0, "dtype": "float32", "device": "cpu"}
    torch.manual_seed(7)
    sae = (
        TopKTrainingSAE(TopKTrainingSAEConfig(**shape))
        if top
        else BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(**shape))
    )
    with torch.no_grad():
        sae.b_dec.copy_(begun.b_dec)
    trainer = SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=fit.steps * fit.batch,
            train_batch_size_samples=fit.batch,
            lr=fit.lr,
            lr_end=fit.lr / 100,
            lr_warm_up_steps=fit.warm_up,
            lr_decay_steps=int(fit.decay * fit.steps),
            dead_feature_window=int(fit.dead_after // fit.batch),
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae=sae,
        data_provider=iter(()),
    )

    def step(t: int) -> None:
        trainer.step(begun.flat(stream.read(t)))
        trainer.n_training_steps += 1

    return step, lambda x: sae(begun.flat(x)).view(x.shape) / begun.scale[:, None]


def product(source: Table, fit: Fit) -> Way:
    """Nothing is learned, nothing reconstructed."""
    begun, table = start(fit, stream_of(source, fit).held_rows()), torch.empty(BATCH, N)
    z = begun.flat(source.values[:BATCH])

    @torch.no_grad()
    def step(t: int) -> None:
        torch.addmm(begun.b_enc, z, begun.W_enc.T, out=table)

    return step, torch.zeros_like


WHATS = ("time", "fvu", "memory")
WAYS = {way.__name__: way for way in (ours, saelens, dense, product)}


def ways_of(case: str) -> list[str]:
    return [name for name in WAYS if name != "saelens" or CASES[case][1] == 1]  # it has no crosscoders


def measure(case: str, turns: int) -> dict[str, Any]:
    """CPU seconds of each way, turn by turn."""
    kind, models = CASES[case]
    fit, source = recipe(kind, (turns + WARM_UP) * STEPS), rows_of(models)
    made = {name: WAYS[name](source, fit) for name in ways_of(case)}
    seen: dict[str, list[float]] = {name: [] for name in made}
    for turn in range(WARM_UP + turns):
        for name in made if turn % 2 else reversed(made):
            begun = time.process_time()
            for t in range(turn * STEPS, (turn + 1) * STEPS):
                made[name][0](t)
            seen[name].append(time.process_time() - begun)
    timed = {name: seconds[WARM_UP:] for name, seconds in seen.items()}
    return {
        "n": turns,
        "rows_per_second": {name: round(STEPS * BATCH / statistics.median(s)) for name, s in timed.items()},
        "over_ours": {name: over(timed[name], timed["ours"]) for name in made if name not in ("ours", "product")},
        "share_of_product": over(timed["product"], timed["ours"]),
        "seconds": {name: [round(x, 4) for x in s] for name, s in timed.items()},
    }


def learned(case: str, ways: list[str]) -> dict[str, float]:
    """FVU of each way on the held rows, after as many steps on the same batches."""
    kind, models = CASES[case]
    fit, source = recipe(kind, LEARN, LEARN_BATCH), rows_of(models)
    fresh, found = torch.cat(list(stream_of(source, fit).held_rows())), {}
    for name in ways:
        step, reconstruct = WAYS[name](source, fit)
        for t in range(LEARN):
            step(t)
        found[name] = fvu(reconstruct, fresh)
    return found


@torch.no_grad()
def fvu(reconstruct: Callable[[Tensor], Tensor], x: Tensor) -> float:
    missed = (reconstruct(x) - x).square().sum() / (x - x.mean(0)).square().sum()
    return round(float(missed), 4)


def over(top: list[float], bottom: list[float]) -> dict[str, float]:
    ratios = [a / b for a, b in zip(top, bottom, strict=True)]
    found = {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}
    return {name: round(value, 3) for name, value in found.items()}


def memory(case: str, way: str) -> float:
    """MB above data and parameters at the peak of two steps, in a process of its own. Linux."""
    command = [sys.executable, __file__, "--peak", way, "--case", case]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def peak(case: str, way: str) -> float:
    kind, models = CASES[case]
    random = torch.randn(TESTED + 2 * BATCH, models, D, generator=torch.Generator().manual_seed(0))
    step, _ = WAYS[way](Table(random, models=("before", "after")[:models]), recipe(kind, 100))
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew: imports went higher
    before = high_water()
    step(0)
    step(1)
    return round((high_water() - before) / 1e6, 1)


def high_water() -> int:
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("VmHWM"))


def line(case: str, found: dict[str, Any]) -> str:
    def show(s: dict[str, float]) -> str:
        return f"{s['median']:.2f} ({s['min']:.2f}-{s['max']:.2f})"

    ratios = ", ".join(f"{name} / ours {show(s)}" for name, s in found["over_ours"].items())
    return (
        f"{case} (n = {found['n']}): {ratios}; bare product {show(found['share_of_product'])} of ours; rows/s "
        f"{found['rows_per_second']}; FVU after {LEARN} steps {found.get('fvu')}; peak MB {found.get('megabytes')}"
    )


def main() -> None:
    """Measure every case and print a line for each; with --json keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--way", nargs="+", choices=list(WAYS)[:-1], default=list(WAYS)[:-1], help="of fvu and memory")
    parser.add_argument("--turns", type=int, default=15, help="timed turns of each way")
    parser.add_argument("--what", nargs="+", choices=WHATS, default=list(WHATS))
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--peak", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of what SAELens imports
    if args.peak:
        print(peak(args.case[0], args.peak))
        return
    kept = json.loads(args.json.read_text()) if args.json and args.json.exists() else {}
    for case in args.case:
        kept.setdefault(case, {})
        ways = [name for name in ways_of(case) if name in args.way]
        if "memory" in args.what:
            kept[case]["megabytes"] = kept[case].get("megabytes", {}) | {name: memory(case, name) for name in ways}
        if "fvu" in args.what:
            kept[case]["fvu"] = kept[case].get("fvu", {}) | learned(case, ways)
        if "time" in args.what:
            kept[case] |= measure(case, args.turns)
        print(line(case, kept[case]) if "n" in kept[case] else kept[case], flush=True)
    if args.json:
        rows = [f"{json.dumps(name)}: {json.dumps(kept[name])}" for name in CASES if name in kept]
        args.json.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
