"""Which run on weights from outside is meant by a base, a reward and what is said of its recipe?"""

from typing import Any

from probe.checkpoints.checkpoint import Checkpoint
from probe.experiments.outside_runs.job import VOTES, OutsideRunJob
from probe.experiments.outside_runs.recipe import labels_of, recipe_of
from probe.rl.causal_policy import Memory
from probe.rl.variants import variants
from probe.rollouts.elicitation import Elicitation


def described(
    base: Checkpoint,
    reward: str,
    asked: Elicitation,
    *,
    preset: str | None = None,
    variant: str | None = None,
    labels: str | None = None,
    votes: int | None = None,
    memory: Memory | None = None,
    **numbers: Any,
) -> OutsideRunJob:
    """The run under `reward` on the problems asked; nothing is made. `numbers` are those of `recipe.recipe_of`.

    BadInput for a preset, variant, reward or label source that is unknown.
    """
    grpo, lora = recipe_of(reward, preset, **numbers)
    grpo = variants.get(variant)(grpo) if variant else grpo
    name = f"{reward} {variant}" if variant else reward
    return OutsideRunJob(name, base, asked, grpo, labels_of(reward, labels), lora, votes or VOTES, memory or Memory())
