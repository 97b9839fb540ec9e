"""Are there more exclusive latents than where nothing can be exclusive?

    rate = exclusives / live latents          exclusive by relative norm; after latent scaling: genuine too   (`norms`)
    nulls: before against itself; before against itself on disjoint halves of the problems (unpaired text
    gives 50-200 times more "exclusives", OpenReview YS8snLhZoC); another seed of the RL run; a control (`controls`)
    verdict: "beyond its nulls" where the rate's lower limit, of every dictionary seed, is above the upper limit of
             every null's, else which is not

Intervals are Wilson's over latents, as if latents were independent. They were fitted together, so that another fit may
differ by more: the limits are too narrow for a claim, and a claim must clear the limits of both, in every dictionary
seed that there is. Resampled problems would say still less: they leave the fit, and so the norms, as they are.
A latent is live if it fired at least once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from probe.data import Estimate
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.latent_scaling import Scaling
from probe.dictionaries.diffing.norms import latent_classes, relative_norm
from probe.dictionaries.pair import AFTER, BEFORE
from probe.errors import BadInput
from probe.stats.intervals import wilson

SIDES = ("before", "after")


@dataclass(frozen=True)
class Exclusives:
    """Latents that one model alone has: their numbers, of how many that are live."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    live: int

    def rate(self, side: str | None = None) -> Estimate:
        """Share of live latents, of one side or both; null 0."""
        if side not in (None, *SIDES):
            raise BadInput(f"no side is {side!r}", where="exclusives", do="before or after")
        count = {"before": len(self.before), "after": len(self.after), None: len(self.before) + len(self.after)}[side]
        limits = wilson(count, self.live)
        name = "exclusive_latents"
        return Estimate(name, count / self.live, *limits, self.live, self.live, null=0.0, params={"side": side or ""})


def exclusives(
    dictionary: Dictionary, scaling: Scaling | None = None, live: Bool[Tensor, "latent"] | None = None
) -> Exclusives:
    """By relative norm; with `scaling` those alone that the other model really lacks, and latents live that fired.

    Without either, all latents count as live. BadInput where none is.
    """
    names = latent_classes(relative_norm(dictionary))
    alive = np.ones(len(names), dtype=bool) if live is None else live.numpy(force=True).astype(bool)
    alive &= True if scaling is None else scaling.fired.numpy(force=True) > 0
    if len(alive) != len(names) or not alive.any():
        raise BadInput("no latent is live", where=dictionary.where, do="give one flag a latent; fit it again")
    found = []
    for side, kind in ((BEFORE, "before-only"), (AFTER, "after-only")):
        kept = True if scaling is None else scaling.genuine[side].numpy(force=True)
        found.append(tuple(np.flatnonzero((names == kind) & alive & kept).tolist()))
    return Exclusives(found[0], found[1], int(alive.sum()))


@dataclass(frozen=True)
class Verdict:
    """Whether a comparison's exclusives are beyond its nulls, and the nulls that say no."""

    rate: Estimate
    nulls: dict[str, Estimate]
    refused_by: tuple[str, ...]

    @property
    def beyond(self) -> bool:
        """Of no use without a null: then nothing is beyond."""
        return bool(self.nulls) and not self.refused_by

    def __str__(self) -> str:
        if not self.nulls:
            return "not judged: no null was run"
        return "beyond its nulls" if self.beyond else f"no more than {', '.join(self.refused_by)}"


def judged(
    comparison: Exclusives,
    nulls: Mapping[str, Exclusives],
    side: str | None = None,
    again: Sequence[Exclusives] = (),
) -> Verdict:
    """The comparison's rate beside that of each null, e.g. "itself", "disjoint halves", "another seed", "untrained".

    `again`: the same comparison by other dictionary seeds, all of which must be beyond the nulls too.
    """
    rate, beside = comparison.rate(side), {name: null.rate(side) for name, null in nulls.items()}
    least = min(each.rate(side).lo for each in (comparison, *again))
    return Verdict(rate, beside, tuple(name for name, null in beside.items() if not least > null.hi))
