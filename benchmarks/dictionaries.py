"""What does a training step of a sparse dictionary cost here, in SAELens, and in a dense autograd loop? How good is it?

    python benchmarks/dictionaries.py [--case NAME ...] [--what WHAT ...] [--turns N] [--json FILE]

Rows of planted directions, d = 128, fp32, one thread; `dictionary_ways` says what is compared.

time     1,024 latents of 2,048 directions, k = 16, batches of 4,096; a turn is STEPS steps of each way, in alternating
         order; CPU seconds, ratios turn by turn, medians with smallest and largest
memory   of a new process a way, MB: the high-water mark of its resident memory over the first ten steps, less what is
         held before them, and the same over ten steps 40 steps later: flat where they are equal
race     ours beside one peer, in turns; SAELens from its own start, the dense loop from ours. PLANTED directions, RACE
         steps of batches of 1,024, at the rate that was the best of GRID for each. FVU on rows that none has seen at
         every EVERY-th step, and the CPU seconds until then; MMCS with what was planted. Over seeds of rows and starts,
         differences paired, 95 % t intervals. `time_to_equal`: how often our seconds the peer needs until both have
         reached the FVU that the worse of the two ends with
grid     one race at every rate of GRID, on rows of its own; not run unless asked for
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
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
from dictionary_ways import WAYS, D, Way, stream_of

from probe.dictionaries.fitting.options import Fit
from probe.dictionaries.fitting.planted import mmcs, planted
from probe.dictionaries.fitting.stream import Table
from probe.stats.replicates import seeds_mean

N, K, BATCH, ROWS, STEPS, WARM_UP = 1024, 16, 4096, 24_576, 3, 1
WATCHED = ((0, 10), (10, 50), (50, 60))  # steps whose memory is looked at; the first and the last are told
RACE, EVERY, RACE_BATCH = 400, 20, 1024
PLANTED, RACE_K = 512, 8  # that many directions, of which so many in a row: fewer than latents, they can be found
GRID, RACE_LR = (3e-3, 5e-3, 1e-2), 5e-3  # of Adam; the second is the best of the first, for ours and for SAELens
TESTED = 4096  # rows that are never trained on
CASES = {"topk": ("topk", 1), "batchtopk": ("batchtopk", 1)}
CASES |= {"crosscoder topk": ("topk", 2), "crosscoder batchtopk": ("batchtopk", 2)}
SEEDS = {"topk": 5, "crosscoder topk": 3}  # of a race; memory is measured of these cases too
NAMES = ("before", "after")
WHATS = ("time", "memory", "race", "grid")


def recipe(kind: str, steps: int, **change: Any) -> Fit:
    options: dict[str, Any] = {"k": K, "steps": steps, "batch": BATCH, "held": TESTED, "lr": 3e-3, "warm_up": 20}
    return Fit(N, dead_after=100_000, **{"activation": kind} | options | change)


def rows_of(models: int) -> Table:
    truth = planted(2048, D, K, "benchmark", models=models, cosine=0.8, noise=0.05)
    return Table(truth.rows(ROWS), models=NAMES[:models])


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
            seen[name].append(seconds(made[name], turn * STEPS, (turn + 1) * STEPS))
    timed = {name: each[WARM_UP:] for name, each in seen.items()}
    return {
        "n": turns,
        "rows_per_second": {name: round(STEPS * BATCH / statistics.median(s)) for name, s in timed.items()},
        "over_ours": {name: over(timed[name], timed["ours"]) for name in made if name not in ("ours", "product")},
        "share_of_product": over(timed["product"], timed["ours"]),
        "seconds": {name: [round(x, 4) for x in s] for name, s in timed.items()},
    }


def seconds(way: Way, first: int, end: int) -> float:
    """CPU seconds of those steps."""
    begun = time.process_time()
    for t in range(first, end):
        way.step(t)
    return time.process_time() - begun


def over(top: list[float], bottom: list[float]) -> dict[str, float]:
    ratios = [a / b for a, b in zip(top, bottom, strict=True)]
    found = {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}
    return {name: round(value, 3) for name, value in found.items()}


def raced(case: str) -> tuple[str, str]:
    """Ours, and the peer."""
    return "ours", "saelens" if CASES[case][1] == 1 else "dense"


def grid(case: str) -> dict[str, list[float]]:
    """FVU at the end of one race of each, at every rate of GRID, on rows that no race of `race` has."""
    found = [one_race(case, "grid", lr) for lr in GRID]
    return {name: [round(each[name][0][-1], 4) for each in found] for name in raced(case)}


def race(case: str) -> dict[str, Any]:
    """Curves of ours and of the peer, and what they say, over seeds."""
    names, seeds = raced(case), SEEDS[case]
    found = [one_race(case, seed, RACE_LR) for seed in range(seeds)]
    curves = {name: np.array([each[name][0] for each in found]) for name in names}
    cpu = {name: np.array([each[name][1] for each in found]) for name in names}
    matched = {name: np.array([each[name][2] for each in found]) for name in names}
    mine, peer = (curves[name] for name in names)
    level = np.maximum(mine[:, -1], peer[:, -1])
    reached = [[reach(*pair) for pair in zip(curves[name], cpu[name], level, strict=True)] for name in names]
    return {
        "seeds": seeds,
        "peer": names[1],
        "lr": RACE_LR,
        "steps": list(range(EVERY, RACE + 1, EVERY)),
        "fvu": {name: rounded(curves[name].mean(0)) for name in names},
        "mmcs": {name: round(float(matched[name].mean()), 4) for name in names},
        "fvu_less_peer": told(mine[:, -1] - peer[:, -1]),
        "mmcs_less_peer": told(matched["ours"] - matched[names[1]]),
        "time_to_equal": told(np.array(reached[1]) / np.array(reached[0])),
        "time": told(cpu[names[1]][:, -1] / cpu["ours"][:, -1]),
    }


def one_race(case: str, seed: int | str, lr: float) -> dict[str, tuple[list, list, float]]:
    """Of each: FVU and CPU seconds at every EVERY-th step, and MMCS at the end. They take turns at going first."""
    (kind, models), names = CASES[case], raced(case)
    truth = planted(PLANTED, D, RACE_K, "benchmark race", seed, models=models, cosine=0.8, noise=0.05)
    source = Table(truth.rows(ROWS), models=NAMES[:models])
    fit = recipe(kind, RACE, batch=RACE_BATCH, k=RACE_K, lr=lr, seed=("benchmark race", seed))
    fresh = torch.cat(list(stream_of(source, fit).held_rows()))
    made = {name: WAYS[name](source, fit) for name in names}
    curves: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in names}
    for turn, first in enumerate(range(0, RACE, EVERY)):
        for name in names if turn % 2 else reversed(names):
            fvus, spent = curves[name]
            spent.append((spent[-1] if spent else 0.0) + seconds(made[name], first, first + EVERY))
            fvus.append(fvu(made[name], fresh))
    return {name: (*curves[name], mmcs(made[name].directions(), truth.directions)) for name in names}


def reach(curve: np.ndarray, spent: np.ndarray, level: float) -> float:
    """Seconds until FVU is down at that level, on straight lines between the points."""
    at = int(np.argmax(curve <= level))
    if at == 0:
        return float(spent[0])
    share = (curve[at - 1] - level) / (curve[at - 1] - curve[at])
    return float(spent[at - 1] + share * (spent[at] - spent[at - 1]))


@torch.no_grad()
def fvu(way: Way, x: torch.Tensor) -> float:
    return float((way.reconstruct(x) - x).square().sum() / (x - x.mean(0)).square().sum())


def told(values: np.ndarray) -> dict[str, float]:
    """Mean over seeds with its interval."""
    one = seeds_mean(values, name="benchmark", unit="none")
    return {"value": round(one.value, 4), "lo": round(one.lo, 4), "hi": round(one.hi, 4)}


def rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in values]


def memory(case: str, way: str) -> list[float]:
    """MB above data and parameters at the peak of early steps and of late ones, in a process of its own."""
    command = [sys.executable, __file__, "--peak", way, "--case", case]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(each) for each in done.stdout.split()[-2:]]


def peak(case: str, way: str) -> tuple[float, float]:
    """Linux alone."""
    kind, models = CASES[case]
    random = torch.randn(TESTED + 2 * BATCH, models, D, generator=torch.Generator().manual_seed(0))
    made = WAYS[way](Table(random, models=NAMES[:models]), recipe(kind, WATCHED[-1][1]))
    forget()
    before, marks = high_water(), []
    for first, end in WATCHED:
        forget()
        for t in range(first, end):
            made.step(t)
        marks.append(round((high_water() - before) / 1e6, 1))
    return marks[0], marks[-1]


def forget() -> None:
    """The high-water mark begins anew: imports went higher."""
    Path("/proc/self/clear_refs").write_text("5")


def high_water() -> int:
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("VmHWM"))


def lines(case: str, found: dict[str, Any]) -> list[str]:
    """What there is of a case, in words."""
    said = []
    if "n" in found:
        ratios = [f"{name} / ours {spread(s)}" for name, s in found["over_ours"].items()]
        share = f"bare product {spread(found['share_of_product'])} of ours"
        said.append(
            f"{case}, a step (n = {found['n']}): {', '.join(ratios)}; {share}; {found['rows_per_second']} rows/s"
        )
    if "megabytes" in found:
        said.append(f"{case}, peak MB early and late: {found['megabytes']}")
    if "race" in found:
        one = found["race"]
        fvus = ", ".join(f"{name} {curve[-1]}" for name, curve in one["fvu"].items())
        parts = [f"{what} {interval(one[what])}" for what in ("fvu_less_peer", "mmcs_less_peer", "time_to_equal")]
        head = f"{case}, {one['steps'][-1]} steps beside {one['peer']} ({one['seeds']} seeds)"
        said.append(f"{head}, rate {one['lr']}: FVU {fvus}; MMCS {one['mmcs']}; {', '.join(parts)}")
    if "grid" in found:
        said.append(f"{case}, FVU at rates {GRID}: {found['grid']}")
    return said


def spread(s: dict[str, float]) -> str:
    return f"{s['median']:.2f} ({s['min']:.2f}-{s['max']:.2f})"


def interval(one: dict[str, float]) -> str:
    return f"{one['value']:.4g} [{one['lo']:.4g}, {one['hi']:.4g}]"


def main() -> None:
    """Measure every case and print what was found; with --json keep it, beside what is in that file already."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--what", nargs="+", choices=WHATS, default=list(WHATS[:3]))
    parser.add_argument("--turns", type=int, default=7, help="timed turns of each way")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--peak", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of what SAELens imports
    if args.peak:
        print(*peak(args.case[0], args.peak))
        return
    kept = json.loads(args.json.read_text()) if args.json and args.json.exists() else {}
    for case in args.case:
        here = kept.setdefault(case, {})
        if "memory" in args.what and case in SEEDS:
            here["megabytes"] = {name: memory(case, name) for name in ways_of(case) if name != "product"}
        if "time" in args.what:
            here |= measure(case, args.turns)
        if "race" in args.what and case in SEEDS:
            here["race"] = race(case)
        if "grid" in args.what and case in SEEDS:
            here["grid"] = grid(case)
        print("\n".join(lines(case, here)), flush=True)
    if args.json:
        rows = [f"{json.dumps(name)}: {json.dumps(kept[name])}" for name in CASES if name in kept]
        args.json.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
