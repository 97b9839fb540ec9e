"""Is clipping the cause? Epsilon = infinity: the ratio still weights each token; no dual clip either."""

from dataclasses import replace
from typing import TYPE_CHECKING

from probe.rl.variants import variants

if TYPE_CHECKING:
    from probe.rl.train import GRPO


@variants.register("no_clip")
def no_clip(recipe: "GRPO") -> "GRPO":
    """No bound on the ratio."""
    return replace(recipe, loss=replace(recipe.loss, clip_low=None, clip_high=None, dual=None))
