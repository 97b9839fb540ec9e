"""Did what was forecast come true? Predicted first changes against realised ones, over bases, rewards and runs.

    realised = a + slope * predicted     R^2 of that line     Spearman's rho     share of points whose signs agree

A point is one run. What stems from one trunk (a size and base seed) is one replicate, so intervals resample whole
trunks (percentile limits; nan with one); a checkpoint from outside is its own.
The null shuffles the forecasts among the bases' rewards, all runs of one keeping one forecast: p, and the value that
chance gives R^2 and the agreement of signs. A point with an exact 0 on either side says nothing about signs. The slope
is in the unit of a change per unit of eta: how far a run went, not a number that should be 1.
`responder_auroc`: does a score made before any RL tell the bases that responded from those that did not?
Left out: uncertainty of the forecasts themselves, which lowers slope and R^2.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from probe.data import Estimate
from probe.errors import BadInput
from probe.measurements import Row, Rows
from probe.rng import numpy_rng
from probe.stats.bootstrap import clustered_bootstrap
from probe.stats.ranking import clustered_auroc

BASE = ("family", "size", "base_seed")
Column = Float[np.ndarray, "point"]
Statistic = Callable[[Column, Column], float]


@dataclass(frozen=True)
class Point:
    """One run: what was forecast of its base under its reward, and what came of it, with the rows of both."""

    forecast: Row
    realised: Row

    @property
    def base(self) -> str:
        """The checkpoint before RL."""
        return str([self.forecast.get(name) for name in BASE])

    @property
    def trunk(self) -> str:
        """What it shares with other checkpoints: the size and base seed of organisms."""
        size, seed = self.forecast.get("size"), self.forecast.get("base_seed")
        return str([size, seed]) if size else self.base

    @property
    def reward(self) -> str:
        """What the run was trained with."""
        return str(self.forecast["reward"])


def matched(forecast: Rows, realised: Rows) -> list[Point]:
    """Every realised change beside the forecast for its base, reward and temperature; others are left out.

    Both are rows of one trait. BadInput where a base has two forecasts under one reward.
    """
    known: dict[tuple[Any, ...], Row] = {}
    for row in forecast:
        if known.setdefault(_key(row), row)["value"] != row["value"]:
            do = "choose one trait, form and sample"
            raise BadInput(f"two forecasts of {_key(row)}", where="forecast skill", do=do)
    return [Point(known[_key(row)], row) for row in realised if _key(row) in known]


def skill(
    points: Sequence[Point], address: tuple[str | int, ...], n_boot: int = 1000, n_perm: int = 2000
) -> list[Estimate]:
    """`forecast_skill/slope`, `/r2`, `/spearman` and `/sign`; n counts runs, n_problems trunks.

    BadInput with fewer than three points. nan where a statistic is not defined, as with forecasts that are all alike.
    """
    if len(points) < 3 or n_perm < 1:
        what = f"{len(points)} runs and {n_perm} shuffles are too few"
        raise BadInput(what, where="forecast skill", do="give three runs or more, and one shuffle or more")
    x, y = (np.array([side["value"] for side in sides], dtype=float) for sides in _sides(points))
    trunks = [point.trunk for point in points]
    cells = np.unique([f"{point.base} {point.reward}" for point in points], return_inverse=True)[1]
    nulls = _shuffled(x, y, cells, (*address, "skill"), n_perm)
    columns, found = {"x": x, "y": y}, []
    for i, (name, (statistic, expected)) in enumerate(STATISTICS.items()):

        def of(drawn: dict[str, np.ndarray], statistic: Statistic = statistic) -> float:
            return statistic(drawn["x"], drawn["y"])

        told: dict[str, Any] = {"name": f"forecast_skill/{name}", "unit": "none", "n_boot": n_boot}
        estimate = clustered_bootstrap(of, columns, trunks, address=(*address, name), **told)
        null, p = _against(nulls[:, i], estimate.value, expected)
        found.append(replace(estimate, null=null, p=p))
    return found


def responder_auroc(scores: ArrayLike, responded: ArrayLike, trunks: ArrayLike) -> Estimate:
    """`forecast_skill/auroc` of `scores` `[run]` for `responded` `[run]` (0 or 1), null .5, clustered by `trunks`."""
    return clustered_auroc(scores, responded, trunks, name="forecast_skill/auroc")


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in (*BASE, "reward", "temperature"))


def _sides(points: Sequence[Point]) -> tuple[list[Row], list[Row]]:
    return [point.forecast for point in points], [point.realised for point in points]


def _slope(x: Column, y: Column) -> float:
    spread = float(((x - x.mean()) ** 2).sum())
    return float((x - x.mean()) @ (y - y.mean())) / spread if np.ptp(x) > 0 else np.nan


def _correlation(x: Column, y: Column) -> float:
    if not (np.ptp(x) > 0 and np.ptp(y) > 0):
        return np.nan
    return float(np.corrcoef(x, y)[0, 1])


def _r2(x: Column, y: Column) -> float:
    return _correlation(x, y) ** 2


def _spearman(x: Column, y: Column) -> float:
    return _correlation(rankdata(x), rankdata(y))


def _sign(x: Column, y: Column) -> float:
    told = (x != 0) & (y != 0)
    return float((np.sign(x[told]) == np.sign(y[told])).mean()) if told.any() else np.nan


STATISTICS: dict[str, tuple[Statistic, float | None]] = {  # None: what the shuffles give on average
    "slope": (_slope, 0.0),
    "r2": (_r2, None),
    "spearman": (_spearman, 0.0),
    "sign": (_sign, None),
}


def _shuffled(
    x: Column, y: Column, cells: Int[np.ndarray, "point"], address: tuple[str | int, ...], n_perm: int
) -> Float[np.ndarray, "draw statistic"]:
    """Every statistic with the cells' forecasts dealt out anew."""
    own = np.zeros(cells.max() + 1)
    own[cells] = x
    rng = numpy_rng(*address)
    dealt = (rng.permutation(own)[cells] for _ in range(n_perm))
    return np.array([[statistic(each, y) for statistic, _ in STATISTICS.values()] for each in dealt])


def _against(
    draws: Float[np.ndarray, "draw"], value: float, expected: float | None
) -> tuple[float | None, float | None]:
    """The null, and the share of shuffles at least as far from it: on either side where it is 0, else above it."""
    defined = draws[np.isfinite(draws)]
    if not np.isfinite(value) or not defined.size:
        return expected, None
    far, reach = (defined, value) if expected is None else (np.abs(defined), abs(value))
    hits = np.count_nonzero(far >= reach - 1e-9 * max(1.0, abs(reach)))
    return float(defined.mean()) if expected is None else expected, (1 + hits) / (1 + defined.size)
