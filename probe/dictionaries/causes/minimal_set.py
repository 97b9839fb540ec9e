"""What is the smallest set of latents with a given share of an effect?

    effect(set) = share of a target, e.g. of RL's gain: 0 for none of it, 1 for all
    by ranking: the shortest prefix that reaches the share: sizes 1, 2, 4, ... until one does, then bisect    ~2 log2 n
    greedy: add what gains most, until the share is reached                                                   ~n k

Bisecting assumes that more latents do more. Where they do not, the prefix found is the shortest of those tried:
`monotone` says whether the curve bears it out, and `curve` has every size tried. A set is chosen by its effect: measure
it again on problems that did not choose it. Neither search finds sets whose latents work only together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from probe.errors import BadInput

Effect = Callable[[tuple[int, ...]], float]


@dataclass(frozen=True)
class MinimalSet:
    """The set found (None: no set tried reached the share), and the effect at every size that was tried."""

    latents: tuple[int, ...] | None
    share: float
    curve: tuple[tuple[int, float], ...]

    @property
    def monotone(self) -> bool:
        """Whether no larger set that was tried had a smaller effect."""
        effects = [effect for _, effect in self.curve]
        return all(one <= next_ for one, next_ in pairwise(effects))

    @property
    def size(self) -> int | None:
        """How many latents it takes; None where none of those tried do."""
        return None if self.latents is None else len(self.latents)


def smallest_prefix(effect: Effect, ranking: Sequence[int], share: float = 0.8) -> MinimalSet:
    """The shortest prefix of `ranking` whose effect is at least `share`. BadInput for a ranking that repeats itself."""
    order = _checked(ranking, share)
    tried: dict[int, float] = {}

    def reaches(size: int) -> bool:
        tried[size] = _finite(effect(order[:size]), size)
        return tried[size] >= share

    low, high = _bracket(reaches, len(order))
    while high is not None and high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    found = [size for size, value in tried.items() if value >= share]
    return MinimalSet(order[: min(found)] if found else None, share, tuple(sorted(tried.items())))


def _bracket(reaches: Callable[[int], bool], n: int) -> tuple[int, int | None]:
    """The last size that fell short and the first that did not (None: not even all n), doubling from 0."""
    if reaches(0):
        return 0, 0
    last, size = 0, 1
    while not reaches(size):
        if size == n:
            return size, None
        last, size = size, min(2 * size, n)
    return last, size


def greedy(effect: Effect, candidates: Sequence[int], share: float = 0.8, most: int | None = None) -> MinimalSet:
    """Grown by what gains most at each step, the first of `candidates` where several tie; at most `most` latents."""
    left, chosen = list(_checked(candidates, share)), tuple[int, ...]()
    curve = [(0, _finite(effect(()), 0))]
    limit = len(left) if most is None else min(most, len(left))
    while curve[-1][1] < share and len(chosen) < limit:
        gains = [_finite(effect((*chosen, each)), len(chosen) + 1) for each in left]
        chosen = (*chosen, left.pop(int(np.argmax(gains))))
        curve.append((len(chosen), max(gains)))
    return MinimalSet(chosen if curve[-1][1] >= share else None, share, tuple(curve))


def _checked(latents: Sequence[int], share: float) -> tuple[int, ...]:
    if not len(latents) or len(set(latents)) < len(latents) or not np.isfinite(share):
        what = f"{len(latents)} latents, {len(set(latents))} of them different, share {share}"
        raise BadInput(what, where="minimal set", do="give each latent once, and a finite share")
    return tuple(int(each) for each in latents)


def _finite(value: float, size: int) -> float:
    if not np.isfinite(value):
        raise BadInput(f"an effect of {value} at {size} latents", where="minimal set", do="give finite effects")
    return float(value)
