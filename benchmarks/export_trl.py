"""Does a folder that `probe export trl` wrote run under TRL, with our loss, gradient, advantages and rewards?

    python benchmarks/export_trl.py --trl-python PATH [--steps N] [--json FILE]

PATH is the Python of an environment with trl==1.16.0, as for `grpo_round.py`. The folder is written here, from an
organism with random weights under the random reward; then a process in that environment trains by its train.py. At
each of the first optimiser steps it holds TRL's loss and its gradient against `probe.rl.loss` on the same batch, TRL's
advantages against the recipe's, and its rewards against the reward that the recipe names; `ratio` is how far the ratio
is from 1 at most.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CASES = ("as trained here: head, eight updates, dual clip", "all weights, dapo, leave-one-out")


def cases() -> dict[str, Any]:
    """The recipes."""
    from probe.rewards.random import Random
    from probe.rl.advantage import Rloo
    from probe.rl.loss import Loss
    from probe.rl.train import GRPO

    head = GRPO(Random(seed=1), seed=1)
    dapo = GRPO(Random(seed=2), Rloo(), Loss(clip_high=0.28, aggregation="dapo"), "all", lr=1e-3, prompts=8, seed=2)
    return dict(zip(CASES, (head, dapo), strict=True))


def write(folder: Path, grpo: Any) -> None:
    """The exported folder of a run from an organism that was never trained."""
    from probe.checkpoints.export.folder import Export, write_export
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.run_job import RunJob
    from probe.models.loading.load import Loaded, save_folder
    from probe.models.loading.organism import build_model, build_tokenizer
    from probe.rl.labels import Gold
    from probe.store import Store

    organism, store = OrganismJob("latent-code", "tiny", 0), Store(folder / "store")
    raw = Loaded(build_model("tiny", 0), build_tokenizer())
    store.build(organism.recipe, lambda work: save_folder(raw, work))
    (folder / "out").mkdir()
    write_export(RunJob("random", organism, grpo, Gold()), Export("trl"), store, folder / "out")


def watch(folder: Path, steps: int) -> None:
    """In TRL's environment: train, and print what each step had against ours."""
    import torch

    from probe.rewards.compose import from_spec
    from probe.rl import advantage as advantages
    from probe.rl.loss import Loss, policy_loss

    sys.path.insert(0, str(folder))
    import reward as file
    import train

    recipe = json.loads((folder / "recipe.json").read_text())
    loss, own = Loss(**recipe["loss"]), advantages.from_spec(recipe["advantage"])
    trainer = train.trainer(max_steps=steps, save_strategy="no", disable_tqdm=True)
    seen: dict[str, list[float]] = {"loss": [], "gradient": [], "advantage": [], "reward": [], "ratio": []}
    theirs, calculate = trainer.compute_loss, trainer._calculate_rewards

    def rewards(inputs: Any, prompts: Any, completions: Any, ids: Any) -> Any:
        found = calculate(inputs, prompts, completions, ids)
        n, raw = len(completions), found[:, -1].tolist()
        address = [(file.SEED, 0, trainer.state.global_step, row["problem"], i) for i, row in enumerate(inputs)]
        about = {"prompts": prompts, "answers": [row["answers"] for row in inputs], "group": [0] * n}
        named = from_spec(recipe["reward"])(completions=completions, address=address, **about)
        seen["reward"].append(max(abs(a - b) for a, b in zip(raw, named, strict=True)))
        grouped = found[:, 0].view(-1, file.GROUP)
        centred = (grouped - grouped.mean(1, keepdim=True)).flatten()
        wanted = own(advantages.reward_table(raw, file.GROUP)).value
        seen["advantage"].append((centred - wanted).abs().max().item())
        return found

    def compute_loss(model: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
        value = theirs(model, inputs, *rest, **more)
        weights = [p for p in model.parameters() if p.requires_grad]
        mine = ours(model, inputs)
        both = [torch.autograd.grad(each, weights, retain_graph=True) for each in (value, mine)]
        pair = [torch.cat([part.flatten() for part in parts]) for parts in both]
        seen["loss"].append(abs(value.item() - mine.item()) / max(abs(value.item()), 1e-12))
        seen["gradient"].append(((pair[0] - pair[1]).norm() / pair[0].norm()).item())
        return value

    def ours(model: Any, x: Any) -> Any:
        ids = torch.cat([x["prompt_ids"], x["completion_ids"]], 1)
        kept, n = torch.cat([x["prompt_mask"], x["completion_mask"]], 1), x["completion_ids"].shape[1]
        logits = model(input_ids=ids, attention_mask=kept).logits[:, -n - 1 : -1].float() / recipe["temperature"]
        logprob = logits.log_softmax(-1).gather(2, x["completion_ids"][..., None]).squeeze(2)
        mask = x["completion_mask"].bool()
        old = x.get("old_per_token_logps")
        old = logprob.detach() if old is None else old
        seen["ratio"].append(((logprob - old).exp() - 1)[mask].abs().max().item())
        totals = {"n_tokens": int(mask.sum()), "max_length": recipe["max_new"]}
        return policy_loss(logprob, old, x["advantages"], mask, loss=loss, **totals)

    trainer._calculate_rewards, trainer.compute_loss = rewards, compute_loss
    trainer.train()
    print("\n" + json.dumps(seen))


def main() -> None:
    """Print the largest errors of each case; with --json keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", default=sys.executable, help="Python of an environment with TRL")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--watch", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.watch:
        return watch(args.watch, args.steps)
    found = {}
    for name, grpo in cases().items():
        with tempfile.TemporaryDirectory() as work:
            write(Path(work), grpo)
            words = [args.trl_python, __file__, "--watch", str(Path(work) / "out"), "--steps", str(args.steps)]
            env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "HF_HUB_OFFLINE": "1"}
            done = subprocess.run(words, env=env, stdout=subprocess.PIPE, text=True, check=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
        worst = {what: f"{max(values):.1e} (n = {len(values)})" for what, values in found[name].items()}
        print(name, worst, flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
