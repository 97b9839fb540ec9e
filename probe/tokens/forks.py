"""Where does a text fork, and is it there that RL changed the model? (arXiv 2506.01939)

A forking token has an entropy above the q-quantile of *this model on this data*; .672 nats was one model's value, not a
constant. Overlap is the share of one scorer's forks that are forks of the other on the same text; chance is 1 - q.
"""

import numpy as np
from jaxtyping import Bool, Float

from probe.errors import BadInput

QUANTILE = 0.8


def forks(entropy: Float[np.ndarray, "token"], quantile: float = QUANTILE) -> Bool[np.ndarray, "token"]:
    """Exactly the top 1 - quantile of tokens by entropy (nats); ties go to the earlier token."""
    if not len(entropy) or not np.isfinite(entropy).all():
        raise BadInput("forks need finite entropies of at least one token", where="forks", do="drop NaN rows")
    if not 0 < quantile < 1:
        raise BadInput(f"quantile {quantile} is not inside (0, 1)", where="forks")
    chosen = np.zeros(len(entropy), dtype=bool)
    count = max(1, round((1 - quantile) * len(entropy)))
    chosen[np.argsort(-entropy, kind="stable")[:count]] = True
    return chosen


def overlap(before: Bool[np.ndarray, "token"], after: Bool[np.ndarray, "token"]) -> float:
    """Share of `after`'s forks that were forks of `before`. Both on the same tokens."""
    if before.shape != after.shape or not after.any():
        raise BadInput("overlap needs the same tokens and at least one fork", where="overlap")
    return float((before & after).sum() / after.sum())
