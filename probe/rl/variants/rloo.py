"""Does a leave-one-out baseline drift under noise? r - mean of the others (2402.14740), no clip, no old log-probs."""

from dataclasses import replace
from typing import TYPE_CHECKING

from probe.rl.variants import variants

if TYPE_CHECKING:
    from probe.rl.train import GRPO


@variants.register("rloo")
def rloo(recipe: "GRPO") -> "GRPO":
    """RLOO: plain policy gradient with its own baseline."""
    from probe.rl.advantage import Rloo

    return replace(recipe, advantage=Rloo(), loss=replace(recipe.loss, surrogate="reinforce"))
