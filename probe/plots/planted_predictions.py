"""Which predictions of planted code came true? Drawn like `predictions`."""

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots._style import styled
from probe.plots.predictions import judged
from probe.stats.predictions import PLANTED, cells_of, judge


@figures.register("planted_predictions")
@styled
def planted_predictions(rows: Rows) -> Drawing | None:
    """Those of the doses; None where no planted organism was held against the law."""
    cells = [cell for cell in cells_of(rows) if cell.family.startswith("planted")]
    return judged([each for each in judge(cells, PLANTED) if each.bases])
