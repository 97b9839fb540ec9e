"""What benchmarks beside another trainer share: processes that take turns, ratios pair by pair, a file of figures.

While one does a round the other is blocked on a read. Both must hold the same weights; the first WARM_UP rounds of each
are left out, and the order of a pair alternates.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

WARM_UP = 2
UNITS = ("cpu", "wall")
HERE = Path(__file__).parent

Seen = dict[str, list[dict[str, Any]]]


class Worker:
    """One trainer in a process of its own. `ask` sends a line and waits for the answer."""

    def __init__(self, name: str, python: str, case: str, script: str, threads: int = 1) -> None:
        env = os.environ | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
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


def side_by_side(case: str, args: argparse.Namespace, script: str) -> tuple[Worker, Worker]:
    """Ours and TRL's, holding the same model."""
    ours, trl = (
        Worker(name, python, case, script, args.threads)
        for name, python in (("ours", sys.executable), ("trl", args.trl_python))
    )
    if ours.facts != trl.facts:
        sys.exit(f"the two environments do not hold the same model: {ours.facts} and {trl.facts}")
    return ours, trl


def take_turns(turns: list[tuple[str, Worker, str]], pairs: int, first: int = 0) -> Seen:
    """What each of (label, worker, command) answered in the timed rounds; rounds are numbered from `first`."""
    seen: Seen = {label: [] for label, _, _ in turns}
    for i in range(WARM_UP + pairs):
        for label, worker, command in turns if i % 2 else reversed(turns):
            seen[label].append(worker.ask(f"{command} {first + i}"))
    return {label: answers[WARM_UP:] for label, answers in seen.items()}


def check_same_work(timed: Seen, tokens: int, *also: str) -> None:
    """Leaves where a pair had other prompts, sampled other than `tokens`, or differs in anything named."""
    for ours, trl in zip(timed["ours"], timed["trl"], strict=True):
        if any(ours[name] != trl[name] for name in ("prompts", "tokens", *also)) or ours["tokens"] != tokens:
            sys.exit(f"the work was not the same: {ours} and {trl}, and {tokens} tokens were due")


def spread(values: list[float]) -> dict[str, float]:
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, 4) for name, value in found.items()}


def ratio(seen: Seen, top: str, bottom: str, unit: str) -> dict[str, float]:
    """Pair by pair."""
    return spread([a[unit] / b[unit] for a, b in zip(seen[top], seen[bottom], strict=True)])


def seconds(seen: Seen) -> dict[str, Any]:
    """n, ratios TRL / ours, and the seconds of each: spreads, and every one."""
    both = {label: {unit: [answer[unit] for answer in answers] for unit in UNITS} for label, answers in seen.items()}
    return {
        "n": len(seen["ours"]),
        "trl_over_ours": {unit: ratio(seen, "trl", "ours", unit) for unit in UNITS},
        "seconds": {label: {unit: spread(values) for unit, values in each.items()} for label, each in both.items()},
        "raw": {label: {u: [round(x, 4) for x in xs] for u, xs in each.items()} for label, each in both.items()},
    }


def show(found: Mapping[str, float]) -> str:
    return f"{found['median']:.2f} ({found['min']:.2f}-{found['max']:.2f})"


def run(
    doc: str | None,
    cases: Mapping[str, Any],
    measure: Callable[[str, argparse.Namespace], dict[str, Any]],
    line: Callable[[str, dict[str, Any]], str],
    *,
    usual: list[str] | None = None,
) -> None:
    """Measure the cases named and print a line for each; with --json keep the figures."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", default=sys.executable, help="Python of an environment with TRL")
    parser.add_argument("--case", nargs="+", choices=cases, default=usual or list(cases))
    parser.add_argument("--pairs", type=int, default=15, help="timed pairs of rounds")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    results = {}
    for name in args.case:
        results[name] = measure(name, args)
        print(line(name, results[name]), flush=True)
    if args.json:
        machine = {"system": platform.system(), "arch": platform.machine(), "cpus": os.cpu_count()}
        rows = {"machine": machine | {"threads": args.threads}} | results
        args.json.write_text("{\n" + ",\n".join(f'"{name}": {json.dumps(row)}' for name, row in rows.items()) + "\n}\n")
