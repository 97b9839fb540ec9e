"""Does a score follow a trait of the responses, and that trait alone?

    r      = sum x z / sqrt(sum x^2 sum z^2)           x, z: score and trait, centred
    part r = sum x z' / sqrt(sum x^2 sum z'^2)         z': what least squares on the other columns leaves of z

The square of a part r is the share of the score's variance that the trait adds to the others. Centred within groups
(the responses to one problem: what a group-relative advantage sees), or over all rows. With x, z scaled to mean square
1 and x' what the others leave of x, row i moves r by x'_i z_i - r (x_i^2 + z_i^2) / 2; sums of that over problems give
the CR1 t interval. Null: the scores dealt out anew, within each group, or to another problem's responses and shuffled
there (a problem with more responses than its partner takes some twice); p = (1 + hits) / (1 + n_perm), two-sided. For a
part r it is x' that is dealt out (Kennedy 1995).
A score or trait without variation has no r. A trait of which the others tell all but TOLD (`is_told`) has no part r:
nan, with `reason`. Left out: ranks, and what is not linear.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from probe.data import Estimate
from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats.checks import check_rows, cluster_codes, column
from probe.stats.intervals import clustered_mean

TOLD = 0.01  # share of a trait's variance below which the others tell it: a part r of .1 could not be reached
ROUNDING = 1e-18  # the same of what is exactly told
CELLS = 2_000_000  # scores dealt out at a time
Rows = Float[np.ndarray, "row"]


def correlation(
    score: ArrayLike,
    trait: ArrayLike,
    clusters: ArrayLike,
    *,
    name: str,
    address: tuple[str | int, ...],
    within: bool,
    others: ArrayLike | None = None,
    n_perm: int = 999,
    params: Mapping[str, Any] | None = None,
) -> Estimate:
    """r of `score` and `trait` `[row]` over `clusters` `[row]`, null 0; the part r, given `others` `[row column]`.

    nan, with the reason in `params`, where it is not defined. BadInput on columns that are ragged or not finite.
    """
    x, codes = column(score, "score"), cluster_codes(clusters, np.size(score))
    z = column(trait, "trait", rows=x.size)
    if n_perm < 1:
        raise BadInput(f"n_perm is {n_perm}", do="give at least 1 permutation; 999 is usual")
    about = dict(params or {})
    x, z = (_centred(each, codes[0], within) for each in (x, z))
    without = "score" if not _varies(x, score) else "trait" if not _varies(z, trait) else ""
    if without:
        return _undefined(name, codes[1], x.size, about | {"reason": f"the {without} does not vary"})
    rest = _others(others, codes[0], within, x.size)
    left, own = _left(x, rest), _left(z, rest)
    if own @ own <= TOLD * (z @ z):
        return _undefined(name, codes[1], x.size, about | {"reason": "the other traits tell this one"})
    found = _r(x, left, own, clusters, name, about)
    return replace(found, p=_permutation_p(left, own, codes[0], within, address, n_perm))


def is_told(trait: ArrayLike, others: ArrayLike, clusters: ArrayLike, *, within: bool) -> bool:
    """Whether least squares on `others` `[row column]` leaves no more than TOLD of `trait` `[row]`, which does vary."""
    raw, codes = column(trait, "trait"), cluster_codes(clusters, np.size(trait))[0]
    z = _centred(raw, codes, within)
    left = _left(z, _others(others, codes, within, z.size))
    return _varies(z, raw) and bool(left @ left <= TOLD * (z @ z))


def deals(codes: Int[np.ndarray, "row"], within: bool, rng: np.random.Generator, n: int) -> Int[np.ndarray, "deal row"]:
    """`n` times, which row's score each row gets: one of its own group, or (not `within`) of a group drawn for it."""
    order, sizes = np.argsort(codes, kind="stable"), np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    mixed = np.argsort(codes + rng.random((n, codes.size)), axis=1)  # group by group, each in a random order
    own, place = codes[order], np.arange(codes.size) - starts[codes[order]]
    groups = np.tile(np.arange(sizes.size), (n, 1))
    partner = (groups if within else rng.permuted(groups, axis=1))[:, own]
    dealt = np.empty_like(mixed)
    dealt[:, order] = np.take_along_axis(mixed, starts[partner] + place % sizes[partner], axis=1)
    return dealt


def _permutation_p(
    x: Rows, z: Rows, codes: Int[np.ndarray, "row"], within: bool, address: tuple[str | int, ...], n_perm: int
) -> float:
    if not np.any(x):
        return 1.0
    observed, rng, hits = abs(_cosine(x, z)[0]), numpy_rng(*address, "deals"), 0
    for n in _parts(n_perm, max(1, CELLS // x.size)):
        dealt = x[deals(codes, within, rng, n)]
        hits += int((np.abs(_cosine(dealt - dealt.mean(1, keepdims=True), z)) >= observed - 1e-9).sum())
    return (1 + hits) / (1 + n_perm)


def _parts(total: int, most: int) -> Iterator[int]:
    yield from (min(most, total - start) for start in range(0, total, most))


def _r(x: Rows, left: Rows, z: Rows, clusters: ArrayLike, name: str, params: dict[str, Any]) -> Estimate:
    """From the score, what the others leave of it, and what they leave of the trait."""
    scale = math.sqrt(float(x @ x) / x.size)
    x, left, z = x / scale, left / scale, z / math.sqrt(float(z @ z) / z.size)
    value = float(np.clip((left * z).mean(), -1.0, 1.0))
    rows = value + left * z - value * (x**2 + z**2) / 2
    about: dict[str, Any] = {"name": name, "unit": "none", "null": 0.0, "bounds": (-1.0, 1.0), "params": params}
    found = clustered_mean(rows, clusters, **about)
    return replace(found, value=value, lo=min(found.lo, value), hi=max(found.hi, value))


def _cosine(x: np.ndarray, z: Rows) -> Rows:
    """Of one column `[row]` or several `[deal row]` with z; 0 for a column of zeros."""
    rows = np.atleast_2d(x)
    sizes = np.sqrt((rows**2).sum(1) * (z @ z))
    return np.clip(np.divide(rows @ z, sizes, out=np.zeros(len(rows)), where=sizes > 0), -1.0, 1.0)


def _centred(values: np.ndarray, codes: Int[np.ndarray, "row"], within: bool) -> np.ndarray:
    """Less the mean of its group, or of all; columns one by one."""
    if not within:
        return np.asarray(values - values.mean(0))
    sizes = np.bincount(codes)
    columns = values.reshape(len(values), -1).T
    means = np.stack([np.bincount(codes, each) / sizes for each in columns])
    return np.asarray((columns - means[:, codes]).T.reshape(values.shape))


def _varies(centred: Rows, raw: ArrayLike) -> bool:
    """Beyond rounding of its mean."""
    return bool(np.abs(centred).max() > 1e-9 * max(1e-300, float(np.abs(np.asarray(raw, dtype=float)).max())))


def _others(others: ArrayLike | None, codes: Int[np.ndarray, "row"], within: bool, rows: int) -> np.ndarray | None:
    if others is None:
        return None
    table = np.asarray(others, dtype=np.float64)
    if table.ndim != 2 or not np.isfinite(table).all():
        raise BadInput(f"the other columns have shape {table.shape}, or gaps", do="give finite numbers [row column]")
    check_rows(len(table), "others", rows)
    return _centred(table, codes, within) if table.shape[1] else None


def _left(values: Rows, others: np.ndarray | None) -> Rows:
    """What least squares on the others leaves; exactly 0 where that is rounding."""
    if others is None:
        return values
    left = values - others @ np.linalg.lstsq(others, values, rcond=None)[0]
    return np.where(left @ left <= ROUNDING * (values @ values), 0.0, left)


def _undefined(name: str, clusters: int, rows: int, params: dict[str, Any]) -> Estimate:
    return Estimate(name, math.nan, math.nan, math.nan, rows, clusters, "none", 0.0, None, params)
