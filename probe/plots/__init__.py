"""Which figures can be drawn? Found by discovery, a file may hold several; nothing here imports torch or a model.

    @figures.register("response_curves")
    def response_curves(rows: Rows) -> Drawing | None: ...

`rows` is the long measurement table (one dict per number, see `probe.measurements`); a figure picks what it needs and
returns None where there is nothing to draw. `Drawing.table` is exactly what is drawn: it becomes `figures/<name>.csv`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from probe.measurements import Row, Rows
from probe.registry import Registry


@dataclass(frozen=True)
class Drawing:
    """A finished figure and the very numbers in it, one dict per drawn mark."""

    figure: Figure
    table: list[Row]
    caption: str


figures: Registry[Callable[[Rows], Drawing | None]] = Registry("figure", "probe.plots")
