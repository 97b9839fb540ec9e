"""Is clipping the cause? The "no clip" of 2506.10947: the old log-probs are dropped, the ratio is 1 in every update."""

from dataclasses import replace
from typing import TYPE_CHECKING

from probe.rl.variants import variants

if TYPE_CHECKING:
    from probe.rl.train import GRPO


@variants.register("old_dropped")
def old_dropped(recipe: "GRPO") -> "GRPO":
    """No ratio at all: plain policy gradient, several updates on one batch."""
    return replace(recipe, loss=replace(recipe.loss, surrogate="reinforce"))
