"""How would both models compare under the prompt that suits the base best? (H4: 2507.10532; 2506.10947 Table 5)

The best of several noisy accuracies looks better than it is: each half of the problems is asked under the prompt that
was best for the base on the other half. Ties go to the earlier prompt, the study's own is the first.
What of a change is gone under the base's best prompt was repair of the prompt; what is left was not. Left out: the best
prompt of the model after RL.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from probe.stats.accounting.arms import Arm, summed

Tried = Sequence[tuple[Arm, Arm]]  # before and after under each prompt


def under_best(
    weights: Float[np.ndarray, "draw problem"], tried: Tried, half: Int[np.ndarray, "problem"]
) -> tuple[Float[np.ndarray, "draw strategy kind"], Float[np.ndarray, "draw strategy kind"]]:
    """Summed shares of before and after under the base's best prompt, on each resample."""
    before, after = 0.0, 0.0
    for mine in (0, 1):
        elsewhere, here = weights * (half != mine), weights * (half == mine)
        right = np.stack([summed(elsewhere, base.shares)[..., 2].sum(-1) for base, _ in tried])
        best = right.argmax(0)
        picked = [(best == i)[:, None, None] for i in range(len(tried))]
        before = before + sum(
            is_best * summed(here, base.shares) for is_best, (base, _) in zip(picked, tried, strict=True)
        )
        after = after + sum(
            is_best * summed(here, trained.shares) for is_best, (_, trained) in zip(picked, tried, strict=True)
        )
    return np.asarray(before), np.asarray(after)
