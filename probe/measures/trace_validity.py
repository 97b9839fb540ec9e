"""Of the right responses, how many got there by true steps? Local validity against global (arXiv 2510.18176).

    trace_validity   right responses whose trace shows a step that can be checked and none that is false
                     / right responses whose trace shows a step that can be checked
    trace_checked    responses whose trace shows such a step / all: how much of the data the first number speaks of

RL can make answers right while steps get worse (or stop being shown): then accuracy rises and validity does not. Chains
are checked exactly, other texts on the arithmetic they state (`probe.tasks.validity`). The two sides of validity are
taken over different responses, so its change also moves with which ones are right, and it is reported where both sides
have `min_rows` of them.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from probe.data import Estimate
from probe.measures import PairData, measures
from probe.measures._estimates import SIDES, linearised, means, ratio
from probe.measures._pairing import KEY, Paired, paired
from probe.stats import clustered_ratio
from probe.tasks.validity import trace_valid

Rows = Bool[np.ndarray, "row"]


@measures.register("trace_validity")
@dataclass(frozen=True)
class TraceValidity:
    """`trace_validity` and `trace_checked`, three sides each; null 0 for the change.

    n of validity: right responses with a step to check (change: pairs with one on either side).
    """

    min_rows: int = 20
    needs: ClassVar[frozenset[str]] = frozenset({"responses"})

    def __call__(self, data: PairData) -> list[Estimate]:
        pair = paired(data)
        (valid, checked), (valid_after, checked_after) = (verdicts(table) for table in (data.before, data.after))
        estimates = means("trace_checked", checked, checked_after, pair, data.address)
        among = [checked & pair.before.right, checked_after & pair.after.right]
        held = [valid & among[0], valid_after & among[1]]
        for side, numer, denom in zip(SIDES, held, among, strict=True):
            params = {"side": side}
            estimates.append(clustered_ratio(numer, denom, pair.problem, name="trace_validity", params=params))
        if min(int(rows.sum()) for rows in among) >= self.min_rows:
            estimates.append(_change(held, among, pair))
        return [each for each in estimates if each.name == "trace_checked" or np.isfinite(each.lo)]


def verdicts(table: pa.Table) -> tuple[Rows, Rows]:
    """(valid, with something to check) of every response, in the order of `paired`."""
    order = pc.sort_indices(table.select(KEY), sort_keys=[(key, "ascending") for key in KEY])
    problems, texts = (table[name].take(order).to_pylist() for name in ("problem", "text"))
    verdicts = [trace_valid(problem, text or "") for problem, text in zip(problems, texts, strict=True)]
    valid, checked = ([verdict is True for verdict in verdicts], [verdict is not None for verdict in verdicts])
    return np.array(valid, dtype=bool), np.array(checked, dtype=bool)


def _change(held: list[Rows], among: list[Rows], pair: Paired) -> Estimate:
    (before, before_scores), (after, after_scores) = (ratio(*side) for side in zip(held, among, strict=True))
    rows = among[0] | among[1]
    return linearised(
        after - before,
        (after_scores - before_scores)[rows],
        pair.problem[rows],
        name="trace_validity",
        null=0.0,
        bounds=(-1.0, 1.0),
        params={"side": "change"},
    )
