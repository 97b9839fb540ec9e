"""What do a run and its twin with every reward turned round have in common? The draw cancels, what clipping does stays.

    common = (after + twin) / 2 - before        draw = (after - twin) / 2        by problem, which is the cluster

To first order a random reward moves the run by +d and its twin by -d: `common` is then 0, whatever d is. What is left
is of second order: clipping, Adam, entropy. The same of a walk as long as the run's, and its mirror at the base, is the
null: what any change of that size does.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from probe.data import Estimate
from probe.errors import BadInput
from probe.stats.checks import column
from probe.stats.intervals import clustered_mean


def common(before: ArrayLike, after: ArrayLike, twin: ArrayLike, *, name: str, side: str = "change") -> Estimate:
    """What both have in common, from means `[problem]` of one trait in [0, 1]; null 0. BadInput where ragged."""
    first, one, other = _columns(before, after, twin)
    return _mean((one + other) / 2 - first, name, side)


def draw(before: ArrayLike, after: ArrayLike, twin: ArrayLike, *, name: str) -> Estimate:
    """Half of what the two differ by: what this one draw of rewards did; null 0. BadInput where ragged."""
    _, one, other = _columns(before, after, twin)
    return _mean((one - other) / 2, name, "draw")


def _mean(values: Float[np.ndarray, "problem"], name: str, side: str) -> Estimate:
    problems = np.arange(values.size)
    return clustered_mean(values, problems, name=name, null=0.0, bounds=(-1.0, 1.0), params={"side": side})


def _columns(*sides: ArrayLike) -> list[Float[np.ndarray, "problem"]]:
    found = [column(side, "a trait", rows=np.size(sides[0])) for side in sides]
    if not all(((side >= 0) & (side <= 1)).all() for side in found):
        raise BadInput("a trait lies outside [0, 1]", where="antithetic", do="give means of flags, by problem")
    return found
