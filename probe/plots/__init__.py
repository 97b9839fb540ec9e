"""Which figures can be drawn? One file per figure, found by discovery; nothing here imports torch or a model.

    @figures.register("response_curves")
    def response_curves(rows: Rows) -> Drawing | None: ...

`rows` is the long measurement table (one dict per number, see `probe.measurements`); a figure picks what it needs and
returns None where there is nothing to draw. `Drawing.table` is exactly what is drawn: it becomes `figures/<name>.csv`.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from probe.measurements import Row, Rows
from probe.registry import Registry


@dataclass(frozen=True, repr=False)
class Drawing:
    """A finished figure and the very numbers in it, one dict per drawn mark."""

    figure: Figure
    table: list[Row]
    caption: str

    def __repr__(self) -> str:
        return f"Drawing of {len(self.table)} marks: {self.caption}"

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        out = io.BytesIO()
        self.figure.savefig(out, format="png", dpi=144)
        return out.getvalue()


figures: Registry[Callable[[Rows], Drawing | None]] = Registry("figure", "probe.plots")
