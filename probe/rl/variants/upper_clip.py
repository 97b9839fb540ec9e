"""Is it the upper bound of the clip that matters? Tokens of A > 0 alone are clipped."""

from dataclasses import replace
from typing import TYPE_CHECKING

from probe.rl.variants import variants

if TYPE_CHECKING:
    from probe.rl.train import GRPO


@variants.register("upper_clip")
def upper_clip(recipe: "GRPO") -> "GRPO":
    """The recipe's upper bound, no lower one."""
    return replace(recipe, loss=replace(recipe.loss, clip_low=None))
