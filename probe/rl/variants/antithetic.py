"""What is left of a random reward's effect when every draw is turned round? The same seed with 1 - r.

What a run and its antithetic twin have in common is not the draw: first-order drift cancels in their mean.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from probe.errors import BadInput
from probe.rewards.random import Random
from probe.rl.variants import variants

if TYPE_CHECKING:
    from probe.rl.train import GRPO


@variants.register("antithetic")
def antithetic(recipe: "GRPO") -> "GRPO":
    """The random reward of the recipe, flipped. BadInput where its reward is another."""
    if not isinstance(recipe.reward, Random):
        do = "give a run with the reward random, or negate a reward of zeros and ones: compose.Negated"
        raise BadInput("only draws have an antithesis", where="variant antithetic", do=do)
    return replace(recipe, reward=replace(recipe.reward, flipped=not recipe.reward.flipped))
