"""Is it enough to update the tokens at which a text forks? DAPO's loss on the top 20 % by entropy (2506.01939).

Of each update's tokens, and divided by their number. Clip bounds stay those of the recipe (DAPO's are .2 and .28).
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from probe.rl.variants import variants

if TYPE_CHECKING:
    from probe.rl.train import GRPO


@variants.register("forks_only")
def forks_only(recipe: "GRPO") -> "GRPO":
    """The policy term on forks alone, a mean over them."""
    return replace(
        recipe, loss=replace(recipe.loss, entropy_quantile=0.2, normalise_over="selected", aggregation="dapo")
    )
