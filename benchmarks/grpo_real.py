"""What does a GRPO round of any causal LM cost here and in TRL, by LoRA and in every weight, on the same work?

    python benchmarks/grpo_real.py --trl-python PATH [--case NAME ...] [--pairs N] [--threads N] [--json FILE]

PATH is the Python of an environment with trl==1.16.0, peft and the torch and transformers of this one. `all` and `lora`
are of random weights, `smollm2-all` and `smollm2-lora` of a real model (`probe fetch smollm2-135m`). As in
`grpo_round.py` two processes take turns: the same weights, the same prompts in the same round, the same number of
trained numbers and of tokens (EOS lies outside of the vocabulary), the same loss (dapo, clip .2, no reference model),
fp32, Adam, gradient norm 1, the same rows in a micro-batch. Each round is one generation and `updates` steps. Here
log-probs are captured while sampling, a prompt is read once, and logits are computed of completion tokens alone; TRL
scores its own completions once more where an update is only a part of a generation.

Before anything is timed, both make their updates on one given batch: tokens and rewards drawn beforehand, the rows of
each update those that TRL's shuffle chose. `apart` is how far loss and gradient norm of each update are from TRL's,
relative: an update behind the first has ratios that are not 1, and its loss depends on the step before it.

Ratios are TRL / ours, pair by pair, of CPU seconds (user + system); the wall is next to it.
"""

import argparse
import json
from dataclasses import asdict
from typing import Any

from grpo_real_worker import CASES
from turns import Worker, check_same_work, run, seconds, show, side_by_side, take_turns

EQUAL = 1e-4  # relative, fp32


def measure(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """How far apart the losses are on given samples, then the seconds of one case."""
    ours, trl = side_by_side(name, args, "grpo_real_worker.py")
    updates = on_given_samples(ours, trl)
    timed = take_turns([("ours", ours, "round"), ("trl", trl, "round")], args.pairs, first=1)
    ours.close()
    trl.close()
    case = CASES[name]
    check_same_work(timed, case.rows * case.new, "trained")
    facts = {"trained": timed["ours"][0]["trained"], "given_samples": updates}
    return {"case": asdict(case), **ours.facts, **facts, **seconds(timed)}


def on_given_samples(ours: Worker, trl: Worker) -> dict[str, Any]:
    """Loss and gradient norm of each update of both, and their largest relative difference."""
    theirs = trl.ask("given 0")
    mine = ours.ask(f"given 0 {json.dumps(theirs.pop('rows'))}")
    apart = {
        what: max(abs(a - b) / abs(b) for a, b in zip(mine[what], theirs[what], strict=True))
        for what in ("loss", "grad_norm")
    }
    return {"ours": mine, "trl": theirs, "apart": apart, "equal": max(apart.values()) <= EQUAL}


def line(name: str, result: dict[str, Any]) -> str:
    """One case in words: medians, with the smallest and the largest."""
    cpu = {label: show(each["cpu"]) for label, each in result["seconds"].items()}
    both = {unit: show(each) for unit, each in result["trl_over_ours"].items()}
    apart = result["given_samples"]["apart"]
    return (
        f"{name} ({result['parameters']} parameters, {result['trained']} trained, n = {result['n']}), CPU s a round:"
        f" TRL {cpu['trl']}, ours {cpu['ours']}; TRL / ours {both['cpu']}, by wall {both['wall']}; on given samples the"
        f" losses are {apart['loss']:.1e} apart, the gradient norms {apart['grad_norm']:.1e}"
    )


if __name__ == "__main__":
    run(__doc__, CASES, measure, line, usual=["all", "lora", "smollm2-all", "smollm2-lora"])
