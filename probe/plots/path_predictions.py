"""Which predictions of few tokens and straight paths came true? Drawn like `predictions`."""

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots._style import styled
from probe.plots.predictions import judged
from probe.stats.path_predictions import judged as found


@figures.register("path_predictions")
@styled
def path_predictions(rows: Rows) -> Drawing | None:
    """Those of the study `paths`; None where neither experiment was run on a run made here."""
    return judged(found(rows))
