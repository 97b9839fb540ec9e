"""What do the tokens teach at which a text does not fork? The bottom 80 % by entropy (2506.01939: a marked decline).

Of each update's tokens, exactly those that `forks_only` leaves out, and divided by their number.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from probe.rl.variants import variants

if TYPE_CHECKING:
    from probe.rl.train import GRPO


@variants.register("non_forks_only")
def non_forks_only(recipe: "GRPO") -> "GRPO":
    """The policy term on all but the forks, a mean over them."""
    return replace(
        recipe,
        loss=replace(
            recipe.loss, entropy_quantile=0.8, entropy_side="bottom", normalise_over="selected", aggregation="dapo"
        ),
    )
