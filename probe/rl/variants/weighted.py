"""Does what is right count a tenth of what is wrong? W-REINFORCE (2506.01347): .1 on correct, -1 on wrong responses."""

from dataclasses import replace
from typing import TYPE_CHECKING

from probe.rl.variants import variants

if TYPE_CHECKING:
    from probe.rl.train import GRPO


@variants.register("weighted")
def weighted(recipe: "GRPO") -> "GRPO":
    """W-REINFORCE; needs rewards of 0 and 1."""
    from probe.rl.advantage import Weighted

    return replace(recipe, advantage=Weighted())
