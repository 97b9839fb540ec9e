"""How unsure is a model of its next token, in what it writes on held-out problems?

    H_p = mean entropy of the sampling distribution   over the tokens that the model wrote for problem p, T = 1   nats

Mean over problems; the change is paired by problem. The same problems at every step, unlike a batch of training.
"""

from dataclasses import replace

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from probe.data import Estimate
from probe.stats import clustered_mean

NAME = "held_out_entropy"


def held_out_entropy(before: pa.Table, after: pa.Table) -> list[Estimate]:
    """Before, after and their change, of ROLLOUTS sampled at T = 1 for the same problems."""
    sides = {"before": per_problem(before), "after": per_problem(after)}
    places = np.arange(len(sides["before"]))
    found = [
        clustered_mean(values, places, name=NAME, unit="nats", params={"side": side}) for side, values in sides.items()
    ]
    change = sides["after"] - sides["before"]
    found.append(clustered_mean(change, places, name=NAME, unit="nats", null=0.0, params={"side": "change"}))
    return [replace(each, n=after.num_rows) for each in found]  # responses


def per_problem(rollouts: pa.Table) -> Float[np.ndarray, "problem"]:
    """Nats a token, problems in order of their names."""
    lists = rollouts["entropy"].combine_chunks()
    tokens = pa.table(
        {"problem": rollouts["problem"].combine_chunks().take(lists.value_parent_indices()), "nats": lists.flatten()}
    )
    means = tokens.group_by("problem").aggregate([("nats", "mean")]).sort_by("problem")
    return np.asarray(means["nats_mean"], dtype=float)
