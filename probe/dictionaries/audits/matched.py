"""Is a latent's effect larger than that of other latents which push the model just as hard?

    magnitude_j = mean activation when active x |decoder direction| x firing rate         how much it moves, on average
    p = (1 + #{null effects >= observed}) / (1 + n)                                         (Phipson & Smyth 2010)

For each latent of a set, one other live latent, drawn at an address from those nearest in log magnitude; `widest` says
by what factor the worst of them is off. Beside them: the latent itself along random directions (`controls.redirected`),
which hold no feature at all. Fewer than 100 nulls cannot reach p < .01.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from probe.dictionaries.audits.controls import Address
from probe.dictionaries.pair import chosen_latents
from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats.checks import column

DRAWS = 100
VARIETY = 10  # as many sets to draw from as are drawn: the smaller the pools, the nearer in magnitude
FACTOR = 1.25  # a pool reaches at least so far from the latent's own magnitude
Tail = Literal["greater", "less", "both"]


@dataclass(frozen=True, eq=False)
class MatchedSets:
    """`latents[i]` stands in for the set in draw i; `widest` is the largest ratio of magnitudes, 1 for equal ones."""

    latents: Int[np.ndarray, "draw member"]
    widest: float


def magnitudes(rate: ArrayLike, mean: ArrayLike, norm: ArrayLike) -> Float[np.ndarray, "latent"]:
    """How much each latent moves the activations of a row, on average; 0 for one that never fires (mean nan)."""
    moved = np.asarray(rate, np.float64) * np.asarray(mean, np.float64) * np.asarray(norm, np.float64)
    return np.nan_to_num(moved, nan=0.0)


def matched_sets(
    magnitude: Float[np.ndarray, "latent"], latents: Sequence[int], address: Address, n: int = DRAWS,
    exclude: Sequence[int] = (),
) -> MatchedSets:  # fmt: skip
    """`n` stand-ins for the set, a latent at most once in a draw, none of `latents` or `exclude`.

    For one latent no draw is repeated. BadInput where too few others are live for that.
    """
    size = column(magnitude, "magnitude", low=0.0)
    members = chosen_latents(latents, size.size, "matched_sets").tolist()
    if n < 1 or not (size[members] > 0).all():
        raise BadInput("no draw, or a latent that never fires", where="matched_sets", do="n >= 1, and live latents")
    allowed = np.setdiff1d(np.flatnonzero(size > 0), [*members, *exclude])
    least = max(n if len(members) == 1 else 0, 2 * len(members))
    if allowed.size < least:
        do = "take random directions of equal norm, or a larger dictionary"
        raise BadInput(f"{allowed.size} other live latents for {least}", where="matched_sets", do=do)
    pools = [_pool(size, member, allowed, _nearest(n, len(members))) for member in members]
    rng = numpy_rng(*address, "matched")
    drawn = rng.permutation(pools[0])[:n, None] if len(members) == 1 else _draws(pools, n, rng)
    return MatchedSets(drawn, float(np.exp(np.abs(np.log(size[drawn] / size[members])).max())))


def _nearest(n: int, members: int) -> int:
    """How many candidates a member has: of one latent as many as draws, of a set enough for VARIETY n different sets.

    Each of the pool may be taken by another member of the draw, so as many more as there are others.
    """
    return n if members == 1 else math.ceil((VARIETY * n) ** (1 / members)) + members - 1


def _pool(size: np.ndarray, member: int, allowed: np.ndarray, least: int) -> Int[np.ndarray, "candidate"]:
    """The `least` nearest of `allowed`, and whatever else lies within FACTOR."""
    apart = np.abs(np.log(size[allowed] / size[member]))
    order = np.argsort(apart, kind="stable")
    return allowed[order[: max(least, int((apart <= np.log(FACTOR)).sum()))]]


def _draws(pools: list[np.ndarray], n: int, rng: np.random.Generator) -> Int[np.ndarray, "draw member"]:
    """One of each pool, all different within a draw: who comes first takes first."""
    drawn = np.empty((n, len(pools)), dtype=np.int64)
    for draw in range(n):
        for place, pool in enumerate(pools):
            drawn[draw, place] = rng.choice(np.setdiff1d(pool, drawn[draw, :place]))
    return drawn


def null_p(observed: float, nulls: ArrayLike, tail: Tail = "greater") -> float:
    """Of an effect among those of its nulls; "both" compares sizes. Ties count against it."""
    drawn = column(nulls, "nulls")
    if not np.isfinite(observed):
        raise BadInput(f"an effect of {observed}", where="null_p", do="give a finite one")
    if tail == "both":
        return null_p(abs(observed), np.abs(drawn))
    hits = np.count_nonzero(drawn >= observed if tail == "greater" else drawn <= observed)
    return (1 + int(hits)) / (1 + drawn.size)
