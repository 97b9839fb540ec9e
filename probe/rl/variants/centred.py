"""What does the division by the standard deviation do? r - mean (Dr. GRPO 2503.20783; RLCR 2507.16806 trains so)."""

from dataclasses import replace
from typing import TYPE_CHECKING

from probe.rl.variants import variants

if TYPE_CHECKING:
    from probe.rl.train import GRPO


@variants.register("centred")
def centred(recipe: "GRPO") -> "GRPO":
    """The advantage without division."""
    from probe.rl.advantage import Centred

    return replace(recipe, advantage=Centred())
