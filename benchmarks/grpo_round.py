"""What does one GRPO round (1 generation + its updates) cost here and in TRL, on the same work?

    python benchmarks/grpo_round.py --trl-python PATH [--case NAME ...] [--pairs N] [--json FILE]

PATH is the Python of an environment with trl==1.16.0 and the torch and transformers of this one. Two processes, one per
trainer, one thread each, take turns: while one does a round the other is blocked on a read. They start from the same
weights and have the same prompts in the same round (checksums are compared). EOS lies outside of the vocabulary, so
every response has exactly `new` tokens on both sides. fp32, every parameter trained, Adam, gradient
norm 1, TRL's default loss (dapo, clip .2), no reference model. All rows are in their update; TRL is `trainer.train()`
itself with bf16, gradient checkpointing and printing off.

The third thing that takes its turn is bare matrix multiplication: the operand shapes and strides of every mm, addmm and
bmm of one of our rounds are recorded, and `torch.mm(out=...)` (or bmm) replays them in their order, no more. The
products inside the attention kernels are counted (`attention_gflop`) and not replayed.

Ratios are TRL / ours, pair by pair, of CPU seconds (user + system); the wall is next to it. A round of ours includes
rewards, advantages and all metrics but `kl`, which TRL has no counterpart of. `skip` is our round with half of the
groups left out of the updates, as groups of one reward may be: less work than TRL does, so no part of the ratio.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grpo_worker import CASES

WARM_UP = 2
HERE = Path(__file__).parent
LABELS = ("ours", "trl", "matmul", "skip")

Seen = dict[str, list[dict[str, Any]]]


class Worker:
    """One trainer in a process of its own. `ask` sends a line and waits for the answer."""

    def __init__(self, name: str, python: str, case: str, script: str = "grpo_worker.py") -> None:
        env = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        env["PYTHONPATH"] = str(HERE.parent)
        command = [python, str(HERE / script), name, case]
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the worker
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=env
        )
        self.facts = self._answer()

    def ask(self, command: str) -> dict[str, Any]:
        print(command, file=self.process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            sys.exit(f"{self.process.args} ended early:\n{self.log.read()[-3000:]}")
        return json.loads(line)


def measure(name: str, pairs: int, trl_python: str) -> dict[str, Any]:
    """The seconds of one case: `pairs` rounds of each, turn by turn, the order of a pair alternating."""
    ours, trl = Worker("ours", sys.executable, name), Worker("trl", trl_python, name)
    if ours.facts != trl.facts:
        sys.exit(f"the two environments do not hold the same model: {ours.facts} and {trl.facts}")
    turns = [("ours", ours, "round"), ("trl", trl, "round"), ("matmul", ours, "matmul"), ("skip", ours, "skip")]
    seen: Seen = {label: [] for label in LABELS}
    for i in range(WARM_UP + pairs):
        for label, worker, command in turns if i % 2 else reversed(turns):
            seen[label].append(worker.ask(f"{command} {i}"))
    ours.close()
    trl.close()
    case, timed = CASES[name], {label: answers[WARM_UP:] for label, answers in seen.items()}
    for pair in zip(timed["ours"], timed["trl"], strict=True):
        if pair[0]["prompts"] != pair[1]["prompts"] or {p["tokens"] for p in pair} != {case.rows * case.new}:
            sys.exit(f"the work was not the same: {pair}, and {case.rows * case.new} tokens were due")
    return {"case": asdict(case), **ours.facts, **summary(timed), "raw": raw(timed)}


def summary(seen: Seen) -> dict[str, Any]:
    """Median, smallest and largest of the seconds and of the pair-wise ratios; the counted products."""

    def ratio(top: str, bottom: str, unit: str) -> dict[str, float]:
        return spread([a[unit] / b[unit] for a, b in zip(seen[top], seen[bottom], strict=True)])

    facts = seen["matmul"][0]
    return {
        "n": len(seen["ours"]),
        "trl_over_ours": {unit: ratio("trl", "ours", unit) for unit in ("cpu", "wall")},
        "matmul_share_of_ours": ratio("matmul", "ours", "cpu"),
        "matmul_share_of_trl": ratio("matmul", "trl", "cpu"),
        "seconds": {x: {unit: spread([a[unit] for a in seen[x]]) for unit in ("cpu", "wall")} for x in LABELS},
        **{key: facts[key] for key in ("products", "gflop", "attention_gflop")},
    }


def spread(values: list[float]) -> dict[str, float]:
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, 4) for name, value in found.items()}


def raw(seen: Seen) -> dict[str, dict[str, list[float]]]:
    return {x: {unit: [round(a[unit], 4) for a in seen[x]] for unit in ("cpu", "wall")} for x in LABELS}


def line(name: str, result: dict[str, Any]) -> str:
    """One case in words: medians, with the smallest and the largest."""

    def show(s: dict[str, float]) -> str:
        return f"{s['median']:.2f} ({s['min']:.2f}-{s['max']:.2f})"

    cpu = {x: show(result["seconds"][x]["cpu"]) for x in LABELS}
    ratio = {unit: show(result["trl_over_ours"][unit]) for unit in ("cpu", "wall")}
    return (
        f"{name} ({result['parameters']} parameters, n = {result['n']}), CPU s a round: TRL {cpu['trl']}, ours "
        f"{cpu['ours']}; TRL / ours {ratio['cpu']}, by wall {ratio['wall']}; bare matmul {cpu['matmul']}, a share of "
        f"{show(result['matmul_share_of_ours'])} of ours; half of the groups skipped: ours {cpu['skip']}"
    )


def main() -> None:
    """Measure the cases named and print a line for each; with --json keep the raw figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", default=sys.executable, help="Python of an environment with TRL")
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--pairs", type=int, default=15, help="timed pairs of rounds")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    results = {}
    for name in args.case:
        results[name] = measure(name, args.pairs, args.trl_python)
        print(line(name, results[name]), flush=True)
    if args.json:
        machine = {"system": platform.system(), "arch": platform.machine(), "cpus": os.cpu_count(), "threads": 1}
        rows = [f'"machine": {json.dumps(machine)}', *(f'"{name}": {json.dumps(r)}' for name, r in results.items())]
        args.json.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
