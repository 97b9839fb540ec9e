"""How often does each latent fire, how strongly when it does, in each group of rows, and what changed?

    rate_gj = sum_rows [f_j > 0] / rows          mean_gj = sum_rows f_j / sum_rows [f_j > 0]       over rows of group g
    change  = after - before, of one of the two

A group is any label, e.g. "code/before": strategy and checkpoint. Streaming: sums by group and problem are kept, which
is all that an interval clustered by problem needs. A rate is a ratio of sums r = sum y / sum x, so a change moves by

    S_p = (y_p - r x_p)_after / sum x_after - (y_p - r x_p)_before / sum x_before;   var = G/(G-1) sum_p S_p^2

(CR1, as in `probe.stats.intervals`; a problem that both groups answer is one cluster, so pairing is used.) p of no
change, and Holm's over all latents that were tested. Left out: latents that never fire have no mean, and no test of it.
Memory: two doubles a group, problem and latent.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from probe.data import Estimate
from probe.dictionaries.pair import check_same_rows
from probe.errors import BadInput
from probe.stats.checks import About, label_column
from probe.stats.intervals import Spread, t_estimate
from probe.stats.permutation import holm

Kind = Literal["rate", "mean"]
Sums = Float[np.ndarray, "group problem latent"]
Labelled = tuple[Float[Tensor, "_row latent"], ArrayLike, ArrayLike]  # activations, group [row], problem [row]


@dataclass(frozen=True, eq=False)
class Firing:
    """Sums over rows by group and problem."""

    groups: tuple[str, ...]
    problems: tuple[str, ...]
    rows: Float[np.ndarray, "group problem"]
    fired: Sums
    total: Sums

    def parts(self, group: str, kind: Kind) -> tuple[np.ndarray, np.ndarray]:
        """Numerator and denominator `[problem latent]` of that group. BadInput for a group that had no rows."""
        if group not in self.groups or kind not in get_args(Kind):
            what, do = f"no {kind} of group {group!r}", f"rate or mean, of {', '.join(self.groups)}"
            raise BadInput(what, where="firing", do=do)
        g = self.groups.index(group)
        if kind == "rate":
            return self.fired[g], np.broadcast_to(self.rows[g, :, None], self.fired[g].shape)
        return self.total[g], self.fired[g]

    def values(self, group: str, kind: Kind = "rate") -> Float[np.ndarray, "latent"]:
        """The rate or the mean when active, of every latent; nan for the mean of one that never fired."""
        top, bottom = (each.sum(0) for each in self.parts(group, kind))
        return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def firing(batches: Iterable[Labelled]) -> Firing:
    """Read all batches once. BadInput without rows, or where labels are missing."""
    rows: dict[tuple[str, str], float] = defaultdict(float)
    sums: dict[tuple[str, str], np.ndarray] = {}
    for f, group, problem in batches:
        names = (label_column(group, "group"), label_column(problem, "problem"))
        check_same_rows(f, *names, where="firing")
        _add(rows, sums, f.numpy(force=True), *names)
    if not rows:
        raise BadInput("no rows", where="firing", do="give at least one batch")
    return _firing(rows, sums)


def _add(rows: dict, sums: dict, f: np.ndarray, group: np.ndarray, problem: np.ndarray) -> None:
    names, code = np.unique(np.stack([group.astype(str), problem.astype(str)]), axis=1, return_inverse=True)
    order = np.argsort(code.ravel(), kind="stable")
    starts = np.searchsorted(code.ravel()[order], np.arange(names.shape[1]))
    active = f[order].astype(np.float64)
    parts = np.stack([np.add.reduceat((active > 0).astype(np.float64), starts), np.add.reduceat(active, starts)])
    for place, key in enumerate(zip(*names.tolist(), strict=True)):
        rows[key] += np.diff([*starts, len(f)])[place]
        sums[key] = sums[key] + parts[:, place] if key in sums else parts[:, place]


def _firing(rows: dict, sums: dict) -> Firing:
    groups, problems = (tuple(sorted({key[side] for key in rows})) for side in (0, 1))
    width = {each.shape[1] for each in sums.values()}
    if len(width) > 1:
        raise BadInput(f"batches of {sorted(width)} latents", where="firing", do="give those of one dictionary")
    count, full = np.zeros((len(groups), len(problems))), np.zeros((2, len(groups), len(problems), *width))
    for (group, problem), parts in sums.items():
        at = groups.index(group), problems.index(problem)
        full[:, *at], count[at] = parts, rows[group, problem]
    return Firing(groups, problems, count, full[0], full[1])


@dataclass(frozen=True, eq=False)
class Change:
    """What changed, a latent: its number, the Estimate (null 0), and Holm's p over all that are here."""

    latent: int
    estimate: Estimate
    holm: float


def changes(
    firing: Firing, before: str, after: str, kind: Kind = "rate", latents: Sequence[int] | None = None
) -> list[Change]:
    """After minus before of each latent in `latents` (None: all), left out where it has no value in one of the two.

    BadInput for groups without rows.
    """
    sides = [firing.parts(group, kind) for group in (before, after)]
    values = [firing.values(group, kind) for group in (before, after)]
    chosen = range(firing.fired.shape[2]) if latents is None else latents
    defined = [j for j in chosen if np.isfinite(values[0][j]) and np.isfinite(values[1][j])]
    params = {"side": f"{before} to {after}"}
    found = [_change(sides, values, j, About(f"latent_{kind}", _UNIT[kind], 0.95, 0.0, params)) for j in defined]
    return with_holm(defined, found)


_UNIT: dict[Kind, Literal["fraction", "none"]] = {"rate": "fraction", "mean": "none"}


def with_holm(latents: Sequence[int], estimates: Sequence[Estimate]) -> list[Change]:
    """Each latent's estimate and Holm's p over those that have one; nan for the rest."""
    raw = np.array([math.nan if each.p is None else each.p for each in estimates])
    adjusted, tested = np.full(len(raw), np.nan), np.isfinite(raw)
    if tested.any():
        adjusted[tested] = holm(raw[tested])
    return [Change(*each) for each in zip(latents, estimates, adjusted.tolist(), strict=True)]


def _change(sides: list, values: list, j: int, about: About) -> Estimate:
    """The linearised difference of two ratios over problems."""
    (top0, low0), (top1, low1) = ((top[:, j], low[:, j]) for top, low in sides)
    used = int(np.count_nonzero((low0 > 0) | (low1 > 0)))
    moves = (top1 - values[1][j] * low1) / low1.sum() - (top0 - values[0][j] * low0) / low0.sum()
    se = math.sqrt(used / (used - 1) * (moves @ moves)) if used > 1 else math.nan
    spread = Spread(float(values[1][j] - values[0][j]), se, used - 1.0, used)
    bounds = (-1.0, 1.0) if about.unit == "fraction" else None
    return t_estimate(spread, int(low0.sum() + low1.sum()), bounds, about)
