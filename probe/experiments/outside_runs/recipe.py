"""Which recipe does a run on weights from outside have? Defaults, a preset over them, what is asked for over both.

    spurious-rewards   2506.10947: 64 prompts x 16 responses, 8 updates, lr 5e-7, clip .2 on both sides, no KL, T = 1,
                       3072 new tokens, every weight; kept after 50, 100 and 150 batches

Mathematics needs a grader: rewards that compare answers get the suite's own (`probe.tasks.grading`), whose version is
part of the recipe. Labels follow the reward unless they are named: `incorrect` means wrong majorities.
"""

import functools
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from probe.errors import BadInput
from probe.registry import nearest
from probe.rewards import DeclaredReward, rewards
from probe.rl.advantage import GroupNormalised
from probe.rl.labels import LabelSource, WrongMajority, from_spec
from probe.rl.lora import Lora
from probe.rl.loss import Loss
from probe.rl.train import GRPO
from probe.tasks.grading import Grader

NEW = 3072  # tokens, as in 2506.10947
LR = {True: 1e-5, False: 1e-6}  # under LoRA, of every weight
DEFAULTS: Mapping[str, Any] = {"prompts": 32, "max_new": NEW, "lora": 16}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "spurious-rewards": {
        "prompts": 64,
        "samples": 16,
        "updates": 8,
        "lr": 5e-7,
        "loss": Loss(clip_low=0.2, clip_high=0.2, dual=None),
        "advantage": GroupNormalised(eps=1e-9, ddof=1),
        "betas": (0.9, 0.95),
        "grad_norm": 1.0,
        "temperature": 1.0,
        "max_new": NEW,
        "batches": 150,
        "save_every": 50,
        "lora": None,
    },
}


def recipe_of(
    reward: str, preset: str | None = None, *, seed: int = 0, kl: float | None = None, **changes: Any
) -> tuple[GRPO, Lora | None]:
    """The recipe under that reward, and LoRA of the rank `lora` [16] at twice that alpha; None: every weight.

    `changes` are fields of `GRPO`, or `lora`; `kl` is the weight of the loss's KL. BadInput for a name that is unknown.
    """
    if preset is not None and preset not in PRESETS:
        raise BadInput(f"there is no preset {preset!r}", where="--preset", do=nearest(preset, sorted(PRESETS)))
    chosen = {**DEFAULTS, **(PRESETS[preset] if preset else {}), **changes, "seed": seed, "trainable": "all"}
    rank = chosen.pop("lora")
    chosen.setdefault("lr", LR[rank is not None])
    if kl is not None:
        chosen["loss"] = replace(chosen.get("loss") or Loss(dual=3.0), kl_beta=kl)
    return GRPO(outside_reward(reward, seed), **chosen), None if rank is None else Lora(rank, 2.0 * rank)


def outside_reward(name: str, seed: int) -> DeclaredReward:
    """The reward of that name: with a grader where it compares answers, with the run's seed where it draws."""
    kind = rewards.get(name)
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    given: dict[str, Any] = {"grader": grader()} if "grader" in known else {}
    return kind(**given | ({"seed": seed} if name == "random" else {}))


def labels_of(reward: str, named: str | None = None) -> LabelSource:
    """The label source of that name; without one, gold, and wrong majorities under `incorrect`."""
    name = named or ("wrong_majority" if reward == "incorrect" else "gold")
    return WrongMajority(grader()) if name == "wrong_majority" else from_spec({"labels": name})


@functools.cache
def grader() -> Grader:
    """One for the life of the process."""
    return Grader()
