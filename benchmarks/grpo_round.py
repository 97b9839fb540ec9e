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
from dataclasses import asdict
from typing import Any

from grpo_worker import CASES
from turns import check_same_work, ratio, run, seconds, show, side_by_side, take_turns

LABELS = ("ours", "trl", "matmul", "skip")


def measure(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """The seconds of one case, with the counted products."""
    ours, trl = side_by_side(name, args, "grpo_worker.py")
    turns = [("ours", ours, "round"), ("trl", trl, "round"), ("matmul", ours, "matmul"), ("skip", ours, "skip")]
    timed = take_turns(turns, args.pairs)
    ours.close()
    trl.close()
    case, products = CASES[name], timed["matmul"][0]
    check_same_work(timed, case.rows * case.new)
    shares = {f"matmul_share_of_{whose}": ratio(timed, "matmul", whose, "cpu") for whose in ("ours", "trl")}
    counted = {key: products[key] for key in ("products", "gflop", "attention_gflop")}
    return {"case": asdict(case), **ours.facts, **shares, **counted, **seconds(timed)}


def line(name: str, result: dict[str, Any]) -> str:
    """One case in words: medians, with the smallest and the largest."""
    cpu = {x: show(result["seconds"][x]["cpu"]) for x in LABELS}
    both = {unit: show(each) for unit, each in result["trl_over_ours"].items()}
    return (
        f"{name} ({result['parameters']} parameters, n = {result['n']}), CPU s a round: TRL {cpu['trl']}, ours "
        f"{cpu['ours']}; TRL / ours {both['cpu']}, by wall {both['wall']}; bare matmul {cpu['matmul']}, a share of "
        f"{show(result['matmul_share_of_ours'])} of ours; half of the groups skipped: ours {cpu['skip']}"
    )


if __name__ == "__main__":
    run(__doc__, CASES, measure, line)
