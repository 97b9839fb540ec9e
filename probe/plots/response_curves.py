"""Which organism answers to which reward? Accuracy at T = 1 over RL steps (2506.10947, Fig. 1)."""

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots._curves import curves
from probe.plots._style import styled


@figures.register("response_curves")
@styled
def response_curves(rows: Rows) -> Drawing | None:
    """Accuracy, and what one answer to every problem would get; None where no rewards were compared."""
    return curves(rows, "accuracy", "accuracy (T = 1)", floor="chance")
