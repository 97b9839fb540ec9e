"""What does one model answer under one condition (an arm)? Shares per problem, to be summed over resampled problems.

    shares[g, k] = (all, parsed, right) responses to problem g in strategy k, over all its responses      in [0, 1]
    nats[g, k]   = (summed token entropy in nats, tokens) of those responses, over all its responses

Every problem weighs the same, whatever number of responses an arm has to it: arms of 8 samples and greedy arms of one
can be mixed. Two arms are comparable where they answer the same problems in the same order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from probe.errors import BadInput
from probe.rng import address
from probe.stats.checks import binary, cluster_codes, cluster_totals, column, label_column
from probe.stats.passk import pass_at_k


@dataclass(frozen=True)
class Arm:
    """One model's answers; `n` and `right` count responses per problem, `nats` is None where entropies are unknown."""

    problems: tuple[str, ...]
    strategies: tuple[str, ...]
    shares: Float[np.ndarray, "problem strategy kind"]
    n: Int[np.ndarray, "problem"]
    right: Int[np.ndarray, "problem"]
    nats: Float[np.ndarray, "problem strategy two"] | None = None


def arm(
    problems: ArrayLike,
    strategy: ArrayLike,
    parsed: ArrayLike,
    right: ArrayLike,
    *,
    strategies: Sequence[str],
    entropy: ArrayLike | None = None,
    tokens: ArrayLike | None = None,
) -> Arm:
    """The arm of responses, one a row: problem, strategy (one of `strategies`), parsed and right 0/1.

    `entropy` sums a response's token entropies in nats; where one is not finite the arm has none. BadInput where a
    response is right but not parsed, or of another strategy.
    """
    hits = binary(right, "right")
    read, (codes, size) = binary(parsed, "parsed", rows=hits.size), cluster_codes(problems, hits.size)
    if (hits > read).any():
        raise BadInput("a response is right but not parsed", where="arm", do="grade unparsed responses as wrong")
    kinds = label_column(strategy, "strategy", hits.size)
    met, met_at = np.unique(kinds, return_inverse=True)
    strange = sorted(set(met.tolist()) - set(strategies))
    if strange:
        raise BadInput(f"{strange[0]!r} is no strategy here", where="arm", do=f"give one of {list(strategies)}")
    which = np.array([list(strategies).index(kind) for kind in met.tolist()])[met_at]

    def per_problem(*values: np.ndarray) -> np.ndarray:
        sums = [cluster_totals(each, (codes, size), which, len(strategies)) for each in values]
        return np.stack(sums, axis=-1) / n[:, None, None]

    n = np.bincount(codes, minlength=size)
    nats = None
    if entropy is not None and np.isfinite(np.asarray(entropy, dtype=np.float64)).all():
        nats = per_problem(column(entropy, "entropy", low=0.0), column(tokens if tokens is not None else [], "tokens"))
    names = tuple(str(name) for name in np.unique(label_column(problems, "problems", hits.size)))
    solved = np.bincount(codes, hits, minlength=size).astype(int)
    shares = per_problem(np.ones(hits.size), read, hits)
    return Arm(names, tuple(strategies), shares, n, solved, nats)


def halves(problems: Sequence[str]) -> Int[np.ndarray, "problem"]:
    """0 or 1 for each problem: two halves of equal size (or one more), by hash of the id, whatever the order."""
    order = sorted(range(len(problems)), key=lambda place: address("half", problems[place]))
    which = np.zeros(len(problems), dtype=int)
    which[order[1::2]] = 1
    return which


def summed(
    weights: Float[np.ndarray, "draw problem"], values: Float[np.ndarray, "problem strategy kind"]
) -> Float[np.ndarray, "draw strategy kind"]:
    """`shares` or `nats` of an arm summed over each resample."""
    return np.tensordot(weights, values, axes=1)


def solved_at(k: int, one: Arm) -> Float[np.ndarray, "problem"]:
    """pass@k of every problem."""
    return np.asarray(pass_at_k(one.n, one.right, k), dtype=np.float64)


def check_same(first: Arm, *others: Arm) -> None:
    """BadInput where arms answer other problems or tell other strategies apart."""
    for other in others:
        if (first.problems, first.strategies) != (other.problems, other.strategies):
            do = "ask every arm the same problems"
            raise BadInput("two arms answer different problems", where="accounting", do=do)
