"""What does a GRPO round of any causal LM cost here and in TRL, by LoRA and in every weight, on the same work?

    python benchmarks/grpo_real.py --trl-python PATH [--case all lora] [--pairs N] [--json FILE]

PATH is the Python of an environment with trl==1.16.0, peft and the torch and transformers of this one. As in
`grpo_round.py` two processes, one thread each, take turns: the same weights, the same prompts in the same round, the
same number of trained numbers and of tokens (EOS lies outside of the vocabulary), the same loss (dapo, clip .2, no
reference model), fp32, Adam, gradient norm 1, the same rows in a micro-batch. Each round is one generation and
`updates` steps. Here log-probs are captured while sampling, a prompt is read once, and logits are computed of
completion tokens alone; TRL scores its own completions once more where an update is only a part of a generation.

Ratios are TRL / ours, pair by pair, of CPU seconds (user + system); the wall is next to it.
"""

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grpo_real_worker import CASES
from grpo_round import WARM_UP, Worker, spread

SCRIPT = "grpo_real_worker.py"


def measure(name: str, pairs: int, trl_python: str) -> dict[str, Any]:
    """The seconds of one case: `pairs` rounds of each, turn by turn, the order of a pair alternating."""
    ours, trl = Worker("ours", sys.executable, name, SCRIPT), Worker("trl", trl_python, name, SCRIPT)
    if ours.facts != trl.facts:
        sys.exit(f"the two environments do not hold the same model: {ours.facts} and {trl.facts}")
    seen: dict[str, list[dict[str, Any]]] = {"ours": [], "trl": []}
    for i in range(WARM_UP + pairs):
        turns = [("ours", ours), ("trl", trl)]
        for label, worker in turns if i % 2 else reversed(turns):
            seen[label].append(worker.ask(f"round {i}"))
    ours.close()
    trl.close()
    case, timed = CASES[name], {label: answers[WARM_UP:] for label, answers in seen.items()}
    for pair in zip(timed["ours"], timed["trl"], strict=True):
        same = pair[0]["prompts"] == pair[1]["prompts"] and pair[0]["trained"] == pair[1]["trained"]
        if not same or {each["tokens"] for each in pair} != {case.rows * case.new}:
            sys.exit(f"the work was not the same: {pair}, and {case.rows * case.new} tokens were due")
    units = ("cpu", "wall")
    both = list(zip(timed["ours"], timed["trl"], strict=True))
    ratios = {unit: spread([trl[unit] / ours[unit] for ours, trl in both]) for unit in units}
    seconds = {label: {u: spread([each[u] for each in rows]) for u in units} for label, rows in timed.items()}
    facts = {"trained": timed["ours"][0]["trained"], "n": pairs, "trl_over_ours": ratios, "seconds": seconds}
    raw = {label: {u: [round(each[u], 4) for each in rows] for u in units} for label, rows in timed.items()}
    return {"case": asdict(case), **ours.facts, **facts, "raw": raw}


def line(name: str, result: dict[str, Any]) -> str:
    """One case in words: medians, with the smallest and the largest."""

    def show(s: dict[str, float]) -> str:
        return f"{s['median']:.2f} ({s['min']:.2f}-{s['max']:.2f})"

    cpu = {label: show(each["cpu"]) for label, each in result["seconds"].items()}
    ratio = {unit: show(each) for unit, each in result["trl_over_ours"].items()}
    return (
        f"{name} ({result['parameters']} parameters, {result['trained']} trained, n = {result['n']}), CPU s a round:"
        f" TRL {cpu['trl']}, ours {cpu['ours']}; TRL / ours {ratio['cpu']}, by wall {ratio['wall']}"
    )


def main() -> None:
    """Measure the cases named and print a line for each; with --json keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", default=sys.executable, help="Python of an environment with TRL and peft")
    parser.add_argument("--case", nargs="+", choices=CASES, default=["all", "lora"])
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
