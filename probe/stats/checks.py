"""Are these columns fit to compute with? Everything in `probe.stats` reads its input through here.

A column is a finite 1-d float array with one entry per row; clusters are labels (problem ids), one per row, turned into
codes 0..G-1 in sorted order of label, so that no result depends on the order of the rows. Nothing is dropped or filled.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from probe.data import Estimate, Unit
from probe.errors import BadInput

Clusters = tuple[Int[np.ndarray, "row"], int]


@dataclass(frozen=True)
class About:
    """What an estimate is called, its unit, the level of its interval, its null and its params."""

    name: str
    unit: Unit = "fraction"
    level: float = 0.95
    null: float | None = None
    params: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_level(self.level)

    def estimate(self, value: float, limits: tuple[float, float], n: int, n_problems: int, p: float) -> Estimate:
        """The Estimate; `p` is dropped where there is no null to test."""
        tested = None if self.null is None else float(p)
        lo, hi = float(limits[0]), float(limits[1])
        return Estimate(
            self.name, float(value), lo, hi, n, n_problems, self.unit, self.null, tested, dict(self.params or {})
        )


def column(
    values: ArrayLike, name: str, *, rows: int | None = None, low: float = -math.inf, high: float = math.inf
) -> Float[np.ndarray, "row"]:
    """`values` as float64 `[row]`; BadInput unless 1-d, not empty, finite, inside [low, high] and `rows` long."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise BadInput(f"{name} is not a column of numbers: {err}", do="give one number per row") from err
    if array.ndim != 1 or array.size == 0:
        raise BadInput(f"{name} has shape {array.shape}", do="give a 1-d column with at least one row")
    check_rows(array.size, name, rows)
    finite = np.isfinite(array)
    if not finite.all():
        place = int(np.argmin(finite))
        raise BadInput(
            f"{name} has {array.size - int(finite.sum())} missing or infinite values, the first in row {place}",
            do="drop those rows, or count them as an outcome of their own, before estimating",
        )
    if array.min() < low or array.max() > high:
        raise BadInput(f"{name} spans [{array.min()}, {array.max()}]", do=f"give values in [{low}, {high}]")
    return array


def binary(values: ArrayLike, name: str, *, rows: int | None = None) -> Float[np.ndarray, "row"]:
    """`values` as a float64 column of 0 and 1; anything else is BadInput."""
    array = column(values, name, rows=rows, low=0.0, high=1.0)
    if not np.isin(array, (0.0, 1.0)).all():
        raise BadInput(f"{name} holds values other than 0 and 1", do="give one yes (1) or no (0) per row")
    return array


def check_rows(n: int, name: str, rows: int | None) -> None:
    """BadInput where a column's length is not that of the columns beside it."""
    if rows is not None and n != rows:
        raise BadInput(f"{name} has {n} rows, the columns beside it {rows}", do="give columns of one length")


def label_column(labels: ArrayLike, name: str, rows: int | None = None) -> np.ndarray:
    """Labels `[row]`, all strings or all whole numbers; BadInput where one is missing or they are mixed."""
    array: np.ndarray[Any, Any] = np.asarray(labels)
    if array.ndim != 1:
        raise BadInput(f"{name} has shape {array.shape}", do="give one label per row")
    check_rows(array.size, name, rows)
    if array.dtype == object and all(isinstance(label, str) for label in array):
        return array.astype(str)
    if array.dtype.kind not in "iuUb":
        raise BadInput(
            f"{name} has missing or mixed labels (dtype {array.dtype})", do="give a string or an int per row"
        )
    return array


def cluster_codes(clusters: ArrayLike, rows: int) -> Clusters:
    """Codes `[row]` in 0..G-1 and the number of clusters G."""
    names, codes = np.unique(label_column(clusters, "clusters", rows), return_inverse=True)
    return codes, len(names)


def cluster_totals(
    values: Float[np.ndarray, "row"], codes: Clusters, which: Int[np.ndarray, "row"], width: int
) -> Float[np.ndarray, "cluster kind"]:
    """Sum of `values` per cluster and kind, for rows of kind `which` in 0..width-1."""
    code, n_clusters = codes
    return np.bincount(code * width + which, values, minlength=n_clusters * width).reshape(n_clusters, width)


def check_level(level: float) -> float:
    """The level of an interval, strictly between 0 and 1."""
    if not 0 < level < 1:
        raise BadInput(f"an interval of level {level}", do="give a level in (0, 1), e.g. .95")
    return level
