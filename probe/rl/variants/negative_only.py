"""Does it learn from what is wrong alone? NSR (2506.01347): r - 1 on wrong responses, the others are left out."""

from dataclasses import replace
from typing import TYPE_CHECKING

from probe.rl.variants import variants

if TYPE_CHECKING:
    from probe.rl.train import GRPO


@variants.register("negative_only")
def negative_only(recipe: "GRPO") -> "GRPO":
    """Negative sample reinforcement; needs rewards of 0 and 1."""
    from probe.rl.advantage import NegativeOnly

    return replace(recipe, advantage=NegativeOnly())
