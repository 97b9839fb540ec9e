"""Does it learn from what is right alone? PSR (2506.01347): r on correct responses, the others are left out."""

from dataclasses import replace
from typing import TYPE_CHECKING

from probe.rl.variants import variants

if TYPE_CHECKING:
    from probe.rl.train import GRPO


@variants.register("positive_only")
def positive_only(recipe: "GRPO") -> "GRPO":
    """Positive sample reinforcement; needs rewards of 0 and 1."""
    from probe.rl.advantage import PositiveOnly

    return replace(recipe, advantage=PositiveOnly())
