"""Is a gain what a move between strategies of different accuracy must give?

    predicted = mean over problems p of  d share_p * (a_code,p - a_prose,p)

d share_p: change of the share of code among the responses to problem p. a_code,p and a_prose,p: accuracy of the *base*
on p where its first words are code's, or prose's (forced, so that hard problems that prefer code do not pass for bad
code). The two factors come from different responses, so the mean of their products is unbiased; a problem is a cluster.
Null 0. The strategy prior (2506.10947) says: realised change = predicted, with slope 1 through 0, whatever the reward
knew. `law_slope` is what is found over organisms: least squares, base by base. Left out: error in the prediction
itself, which flattens a slope; it is small beside the spread of the organisms.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from probe.data import Estimate
from probe.errors import BadInput
from probe.stats.checks import column
from probe.stats.intervals import clustered_mean

WHERE = "response law"


def predicted_change(
    share_before: ArrayLike, share_after: ArrayLike, code_right: ArrayLike, prose_right: ArrayLike, *, name: str
) -> Estimate:
    """What the move between strategies should give, from four columns `[problem]` in [0, 1]. BadInput where ragged."""
    moved, gap = _difference(share_after, share_before), _difference(code_right, prose_right)
    if moved.shape != gap.shape:
        raise BadInput(f"{moved.size} shares for {gap.size} accuracies", where=WHERE, do="give one of each a problem")
    problems = np.arange(moved.size)
    return clustered_mean(moved * gap, problems, name=name, null=0.0, bounds=(-1.0, 1.0), params={"side": "change"})


def law_slope(predicted: ArrayLike, realised: ArrayLike) -> float:
    """Least-squares slope of `realised` on `predicted` `[organism]`; nan where all predictions are alike."""
    x, y = column(predicted, "predicted"), column(realised, "realised", rows=np.size(predicted))
    spread = ((x - x.mean()) ** 2).sum()
    return float(((x - x.mean()) * y).sum() / spread) if spread > 0 else float("nan")


def _difference(one: ArrayLike, other: ArrayLike) -> Float[np.ndarray, "problem"]:
    left, right = column(one, "a share or accuracy"), column(other, "a share or accuracy", rows=np.size(one))
    if not all(((side >= 0) & (side <= 1)).all() for side in (left, right)):
        raise BadInput("a share or accuracy lies outside [0, 1]", where=WHERE, do="give means of flags, by problem")
    return left - right
