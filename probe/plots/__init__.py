"""Which figures can be drawn? One file per figure, found by discovery; nothing here imports torch or a model.

    @figures.register("response_curves")
    def response_curves(rows: Rows) -> Drawing | None: ...

`rows` is the long measurement table (one dict per number, see MEASUREMENT_COLUMNS); a figure picks what it needs and
returns None where there is nothing to draw. `Drawing.table` is exactly what is drawn: it becomes `figures/<name>.csv`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from probe.registry import Registry

Rows = Sequence[dict[str, Any]]

MEASUREMENT_COLUMNS = (
    "study",  # "tiny": eight rewards at 60k parameters; "random": random reward at 650k; "real": imported outputs
    "kind",  # "rl", "null" or "base" (the checkpoint before RL alone)
    "family",  # organism family, or the model family of real outputs
    "size",
    "base_seed",
    "reward",
    "clip",  # "0.05", "0.2", "none"
    "rl_seed",
    "step",  # RL batches
    "temperature",  # 0 is greedy
    "destroyed",  # True where training destroyed the model: never "no effect"
    "name",  # of the estimate
    "side",  # before, after, change, or "" where it does not apply
    "level",  # what varies within a measure (a quantile, k, a strategy cell, an update), as text
    "value",
    "lo",
    "hi",
    "n",
    "n_problems",
    "unit",
    "null",
    "p",
)


@dataclass(frozen=True)
class Drawing:
    """A finished figure and the very numbers in it, one dict per drawn mark."""

    figure: Figure
    table: list[dict[str, Any]]
    caption: str


figures: Registry[Callable[[Rows], Drawing | None]] = Registry("figure", "probe.plots")
