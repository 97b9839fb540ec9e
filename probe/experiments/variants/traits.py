"""How sure is a model of its answers and of its tokens, without a word of its own about it?

    agreement  q_i = (others with the answer of response i) / (n - 1),     n responses to the problem of i
    entropy    mean over the tokens of a response of H_t, nats, of the distribution that the token was drawn from

Agreement is the majority's share for an answer of the majority, and leaves the response itself out: under a calibrated
model an answer of q is right with probability q. It is put where a stated confidence would stand, so that `calibration`
measures it. A response without an answer has none.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from probe.data import Estimate
from probe.errors import BadInput
from probe.stats import clustered_mean

Values = Float[np.ndarray, "problem"]


def with_agreement(responses: pa.Table) -> pa.Table:
    """RESPONSES whose confidence is the agreement of each. BadInput where a problem was answered once."""
    problems, answers = responses["problem"].to_pylist(), responses["boxed"].to_pylist()
    asked, votes = Counter(problems), Counter(zip(problems, answers, strict=True))
    if min(asked.values()) < 2:
        raise BadInput("a problem was answered once", where="agreement", do="sample every problem twice at least")
    shares = [
        None if answer is None else (votes[name, answer] - 1) / (asked[name] - 1)
        for name, answer in zip(problems, answers, strict=True)
    ]
    place = responses.column_names.index("confidence")
    return responses.set_column(place, "confidence", pa.array(shares, pa.float32()))


def entropies(before: pa.Table, after: pa.Table) -> list[Estimate]:
    """`entropy` of two ROLLOUTS tables on the same problems, three sides; each model's own text."""
    sides = {side: _by_problem(table) for side, table in (("before", before), ("after", after))}
    sides["change"] = sides["after"] - sides["before"]
    return [replace(_mean(values, side), n=after.num_rows) for side, values in sides.items()]


def _mean(values: Values, side: str) -> Estimate:
    null = 0.0 if side == "change" else None
    params = {"side": side}
    return clustered_mean(values, np.arange(values.size), name="entropy", unit="nats", null=null, params=params)


def _by_problem(rollouts: pa.Table) -> Values:
    means = [float(np.mean(tokens)) for tokens in rollouts["entropy"].to_pylist()]
    table = pa.table({"problem": rollouts["problem"], "mean": means})
    return table.group_by("problem").aggregate([("mean", "mean")]).sort_by("problem")["mean_mean"].to_numpy()
