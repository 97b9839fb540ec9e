"""How often does the grader say false, beside math-verify, and how many responses does it grade a second?

    python benchmarks/grading.py [--repeats N] [--json FILE]

Both read the adversarial pairs of `tests/data` (gold, answer, whether they are equal) in one run; math-verify as it is
meant to be used: `verify(parse(\\boxed{gold}), parse(\\boxed{answer}))`. A policy pair counts as its label says. Speed:
responses of 40 lines of prose with a plain answer (an integer, a fraction, a decimal), all different, one process; the
time is processor time of this process, and no worker is started. Intervals are Wilson's, 95 %.
"""

import argparse
import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from probe.data import Outcome
from probe.rng import numpy_rng
from probe.stats.intervals import wilson
from probe.tasks.grading import Grader

DATA = Path(__file__).parents[1] / "tests" / "data"
SETS = {"adversarial, written before the rules": "answer_pairs.jsonl", "unseen": "answer_pairs_unseen.jsonl"}
Judge = Callable[[str, str], bool]


def main() -> None:
    """Print the table, write the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    told = parser.parse_args()
    report: dict[str, Any] = {"sets": {name: compared(read(file)) for name, file in SETS.items()}}
    report["responses_a_second"] = sorted(speed(repeat) for repeat in range(told.repeats))
    print(json.dumps(report, indent=1, ensure_ascii=False))
    if told.json:
        told.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / file).read_text(encoding="utf-8").splitlines()]


def compared(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """False accepts and rejects of both on the same pairs."""
    with Grader() as grader:
        ours = rates(rows, lambda gold, answer: grader.decide(answer, gold)[0] is Outcome.right)
        rules = Counter(grader.decide(row["answer"], row["gold"])[1] for row in rows)
    return {
        "true": sum(row["right"] for row in rows),
        "false": sum(not row["right"] for row in rows),
        "policy": sum(bool(row["policy"]) for row in rows),
        "probe": ours,
        "math-verify": rates(rows, math_verify()),
        "rules": dict(rules.most_common()),
    }


def rates(rows: list[dict[str, Any]], judge: Judge) -> dict[str, Any]:
    """Shares with intervals, and which classes they are from."""
    found: dict[str, Any] = {}
    for name, label in (("false_rejects", True), ("false_accepts", False)):
        of = [row for row in rows if row["right"] is label]
        wrong = [row for row in of if judge(row["gold"], row["answer"]) is not label]
        lo, hi = wilson(len(wrong), len(of))
        found[name] = {"n": len(wrong), "rate": len(wrong) / len(of), "lo": lo, "hi": hi}
        found[name]["classes"] = dict(Counter(row["class"] for row in wrong).most_common())
    return found


def math_verify() -> Judge:
    """The peer, with its own defaults."""
    from math_verify import parse, verify

    logging.disable(logging.WARNING)

    def judge(gold: str, answer: str) -> bool:
        return bool(verify(parse(f"\\boxed{{{gold}}}"), parse(f"\\boxed{{{answer}}}")))

    return judge


def speed(repeat: int, n: int = 2000) -> float:
    """Responses a second of processor time."""
    rng = numpy_rng("grading benchmark", repeat)
    texts, golds = [], []
    for _ in range(n):
        a, b = (int(each) for each in rng.integers(1, 10_000, size=2))
        answer = (str(a), f"\\frac{{{a}}}{{{b}}}", f"{a}.{b}")[int(rng.integers(3))]
        lines = "".join(f"Step {k}: we take {a + k} and add {b}, which gives {a + b + k}.\n" for k in range(40))
        texts.append(f"{lines}The answer is $\\boxed{{{answer}}}$.")
        golds.append((answer, str(b))[int(rng.integers(2))])
    with Grader() as grader:
        start = time.process_time()
        grades = grader.grade_many(texts, golds)
        seconds = time.process_time() - start
        assert not grader._verifier.child.running, "a plain answer was handed to math-verify"
    assert all(grade.prediction for grade in grades)
    return n / seconds


if __name__ == "__main__":
    main()
