"""Does a direction rotate in RL, or do activations only move along it?

    rotation    c = cos(u_before, u_after), each fitted on its own activations and labels
                null 1: before and after exchanged in half of the problems, drawn anew each time; refitted (p, range)
                null 2: refits on random halves of the problems: within before, within after, and across
                disattenuated, the noise of fitting taken out: across / sqrt(within before * within after), means of
                the draws; nan where one of the two is below RELIABLE
    projection  mean projection on the direction of the model *before*, fitted without the fold it is looked at on,
                in distances between its two classes: before, after, change (paired by problem); also by class before

Halves do not overlap, so across and within differ in the model alone. Sides are centred before they are exchanged: a
common shift of all activations changes projections, and rotates nothing. The interval of c leaves out one GROUPS-th of
the problems at a time (jackknife, t). Noise of fitting pulls c below 1, so the interval is one for what such fits give
on average, and holds `null`, not 1, where nothing moved. p is for labels of each side's own, or for equal activations:
labels that go with the noise of one side's activations alone make equal sides unlike. For the same reason projections
are tested over all rows only: rows chosen by what was written before fall back towards the mean.
Left out: rotations within a subspace (one direction only), and what lies between two layers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from probe.activations.linear import DRAWS, FOLDS, Address, Examples, Kind, fit, folds
from probe.data import Estimate
from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats.intervals import clustered_mean

Params = Mapping[str, Any]
SWAPS = 199  # exchanges of before and after
GROUPS = 20  # of problems, left out in turn
RELIABLE = 0.3  # mean cosine of halves below which a direction is not the same twice


@dataclass(frozen=True, eq=False)
class Sides:
    """The same problems before and after, their rows paired (one text each, the same sample on both sides)."""

    before: Examples
    after: Examples

    def __post_init__(self) -> None:
        one, other = self.before, self.after
        if one.x.shape != other.x.shape or not (one.problem == other.problem).all():
            raise BadInput(
                "before and after are not the same rows", where="Sides", do="pair them by problem and sample"
            )

    def centred(self) -> "Sides":
        """Each side about its own mean."""
        return Sides(*(replace(side, x=side.x - side.x.mean(0)) for side in (self.before, self.after)))

    def traded(self, flips: np.ndarray) -> "Sides":
        """With the sides exchanged where `flips` `[row]`."""
        pairs = [(self.before, self.after), (self.after, self.before)]
        x = [np.where(flips[:, None], b.x, a.x) for a, b in pairs]
        y = [np.where(flips, b.y, a.y) for a, b in pairs]
        return Sides(*(Examples(x[i], y[i], self.before.problem) for i in (0, 1)))


def rotation(
    sides: Sides,
    kind: Kind,
    *,
    address: Address,
    params: Params | None = None,
    swaps: int = SWAPS,
    halves: int = DRAWS,
) -> list[Estimate]:
    """`direction_cosine`: side "across" (with p), "traded" (null 1), "halves before|after|across" and "freed" (null 2).

    Limits: 95 % over problems for "across", else 2.5 and 97.5 % of the draws. Empty where a class is missing.
    """
    if any(not 0 < side.y.mean() < 1 for side in (sides.before, sides.after)):
        return []
    codes = np.unique(sides.before.problem, return_inverse=True)[1]
    n, problems = len(codes), int(codes.max()) + 1
    centred = sides.centred()
    value = _cosine(centred.before, centred.after, kind)
    traded = np.array([_cosine(*_sides(centred.traded(flips)), kind) for flips in _flips(codes, swaps, address)])
    traded = traded[np.isfinite(traded)]
    null, p = float(traded.mean()), (1 + int((traded <= value).sum())) / (1 + traded.size)
    columns = dict(params or {})
    limits = _jackknife(sides, kind, codes, value, address)
    rows = [Estimate("direction_cosine", value, *limits, n, problems, "none", null, p, columns | {"side": "across"})]
    draws = {"traded": traded} | _halves(sides, kind, codes, halves, address)
    means = {side: float(values.mean()) if values.size else np.nan for side, values in draws.items()}
    means["freed"] = _freed(means)
    for side, values in draws.items():
        rows.append(_of_draws(means[side], values, (n, problems), columns | {"side": side}))
    return rows


def projection_change(
    sides: Sides,
    kind: Kind,
    *,
    address: Address,
    params: Params | None = None,
    k: int = FOLDS,
    classes: tuple[str, str],
) -> list[Estimate]:
    """`projection`: side before, after, change; group "all" (null 0) or the class before (no, yes; no test)."""
    if not 0 < sides.before.y.mean() < 1:
        return []
    fold = folds(sides.before.problem, k, address)
    places = np.empty((2, len(fold)))
    for number in np.unique(fold):
        out = fold == number
        known = sides.before[~out]
        if not 0 < known.y.mean() < 1:
            return []
        line = fit(kind, known.x, known.y)
        scores = line(known.x)
        apart = scores[known.y == 1].mean() - scores[known.y == 0].mean()
        places[:, out] = [line(side.x[out]) / apart for side in (sides.before, sides.after)]
    groups = {"all": np.ones(len(fold), dtype=bool)}
    groups |= {name: sides.before.y == label for label, name in enumerate(classes)}
    return [
        row
        for name, rows in groups.items()
        for row in _means(places[:, rows], sides.before.problem[rows], {**(params or {}), "group": name})
    ]


def _means(places: Float[np.ndarray, "2 row"], problem: np.ndarray, params: dict[str, Any]) -> list[Estimate]:
    columns = {"before": places[0], "after": places[1], "change": places[1] - places[0]}
    return [
        clustered_mean(
            values,
            problem,
            name="projection",
            unit="none",
            null=0.0 if (side, params["group"]) == ("change", "all") else None,
            params=params | {"side": side},
        )
        for side, values in columns.items()
    ]


def _cosine(first: Examples, second: Examples, kind: Kind) -> float:
    """nan where one of the two cannot be fitted."""
    if any(not 0 < side.y.mean() < 1 for side in (first, second)):
        return float("nan")
    one, other = (fit(kind, side.x, side.y).weight for side in (first, second))
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.clip(one @ other / length, -1, 1)) if length > 0 else float("nan")


def _flips(codes: np.ndarray, swaps: int, address: Address) -> list[np.ndarray]:
    rng = numpy_rng(*address, "trades")
    return [rng.integers(0, 2, size=int(codes.max()) + 1).astype(bool)[codes] for _ in range(swaps)]


def _jackknife(sides: Sides, kind: Kind, codes: np.ndarray, value: float, address: Address) -> tuple[float, float]:
    """95 % limits of the cosine; resampling would pull it down, for problems drawn twice say nothing new."""
    problems = int(codes.max()) + 1
    k = min(GROUPS, problems)
    group = (numpy_rng(*address, "jackknife").permutation(problems) % k)[codes]
    rest = [_cosine(sides.before[group != g], sides.after[group != g], kind) for g in range(k)]
    reach = float(student.isf(0.025, k - 1) * np.sqrt((k - 1) * np.var(rest))) if k > 1 else np.nan
    return max(-1.0, value - reach), min(1.0, value + reach)


def _freed(means: dict[str, float]) -> float:
    before, after = means["halves before"], means["halves after"]
    return means["halves across"] / float(np.sqrt(before * after)) if min(before, after) >= RELIABLE else np.nan


def _of_draws(value: float, draws: Float[np.ndarray, "draw"], n: tuple[int, int], params: dict[str, Any]) -> Estimate:
    lo, hi = np.quantile(draws, [0.025, 0.975]) if draws.size and np.isfinite(value) else (np.nan, np.nan)
    limits = min(float(lo), value), max(float(hi), value)
    return Estimate("direction_cosine", value, *limits, *n, "none", None, None, params)


def _halves(
    sides: Sides, kind: Kind, codes: np.ndarray, halves: int, address: Address
) -> dict[str, Float[np.ndarray, "draw"]]:
    """Cosines of refits on the two halves of a random cut of the problems, within each side and across."""
    rng, problems = numpy_rng(*address, "halves"), int(codes.max()) + 1
    draws: dict[str, list[float]] = {name: [] for name in ("halves before", "halves after", "halves across", "freed")}
    for _ in range(halves):
        first = (rng.permutation(problems) < problems // 2)[codes]
        parts = [(side[first], side[~first]) for side in (sides.before, sides.after)]
        before, after = (_cosine(*part, kind) for part in parts)
        across = (_cosine(parts[0][0], parts[1][1], kind) + _cosine(parts[1][0], parts[0][1], kind)) / 2
        freed = across / np.sqrt(before * after) if min(before, after) > 0 else np.nan
        for name, value in zip(draws, (before, after, across, freed), strict=True):
            draws[name] += [value] if np.isfinite(value) else []
    return {name: np.array(values) for name, values in draws.items()}


def _sides(sides: Sides) -> tuple[Examples, Examples]:
    return sides.before, sides.after
