"""From tables of responses to what the accounting reads: arms, and what was not measured.

RESPONSES -> one Arm (`probe.stats.accounting.arms`); ROLLOUTS beside them give the entropies of their tokens, in nats.
A response parses where it has an answer, or was graded right without one. Greedy responses have no entropy: it is 0.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from probe.data import Outcome, Strategy
from probe.stats.accounting.account import Evidence
from probe.stats.accounting.arms import Arm, arm
from probe.stats.accounting.verdict import Needs

LADDER = "the base sampled colder and hotter (its weights)"
PROMPTS = "both under other prompts"
FRESH = "fresh problems of the same kind"
SAMPLES = "several samples of each problem"


def arm_of(responses: pa.Table, rollouts: pa.Table | None = None) -> Arm:
    """The arm of RESPONSES; with ROLLOUTS, row for row the same, and sampled, it has entropies."""
    right = _flags(pc.equal(responses["outcome"], str(Outcome.right)))
    told = {}
    if rollouts is not None and pc.max(rollouts["temperature"]).as_py() > 0:
        nats, tokens = _sums(rollouts["entropy"])
        told = {"entropy": nats, "tokens": tokens}
    return arm(
        np.array(responses["problem"].to_pylist()),
        np.array(responses["strategy"].to_pylist()),
        (_flags(responses["boxed"].is_valid()) | right).astype(int),
        right.astype(int),
        strategies=[str(each) for each in Strategy],
        **told,
    )


def needs_of(evidence: Evidence) -> Mapping[str, Needs]:
    """What each explanation would still need to be supported, and to be excluded."""
    ladder = (LADDER,) if evidence.asked.colder is None else ()
    prompts = (PROMPTS,) if evidence.tried is None else ()
    fresh = (FRESH,) if evidence.fresh is None else ()
    samples = (SAMPLES,) if evidence.k < 2 else ()
    every = (*ladder, *prompts, *fresh, *samples)
    return {
        "strategy": Needs(support=(*ladder, *prompts)),
        "sharpening": Needs(ladder, ladder),
        "leak": Needs(fresh, fresh),
        "prompt": Needs(ladder, prompts),
        "acquired": Needs(every, every),
    }


def _flags(values: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(values.to_numpy(), dtype=bool)


def _sums(lists: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Sum and length of each list."""
    whole = lists.combine_chunks()
    lengths = np.asarray(pc.list_value_length(whole).to_numpy(zero_copy_only=False), dtype=np.int64)
    ends = np.append(0, np.cumsum(lengths))
    running = np.append(0.0, np.cumsum(whole.flatten().to_numpy(zero_copy_only=False).astype(np.float64)))
    return np.maximum(running[ends[1:]] - running[ends[:-1]], 0.0), lengths
