"""Which variants of a GRPO recipe does the literature compare? One file each, found by discovery.

    @variants.register("forks_only")
    def forks_only(recipe: GRPO) -> GRPO: ...

A variant takes any recipe and changes what it is about; reward, seed and size stay. `probe train ORGANISM REWARD
--variant NAME`, `variant: NAME` in a run of the manifest, and `probe.train(..., variant=NAME)` run it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from probe.registry import Registry

if TYPE_CHECKING:
    from probe.rl.train import GRPO

variants: "Registry[Callable[[GRPO], GRPO]]" = Registry("variant", "probe.rl.variants")
