"""Which predictions of the random reward came true? Drawn like `predictions`."""

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots._style import styled
from probe.plots.predictions import judged
from probe.stats.antithetic_predictions import judged as found


@figures.register("antithetic_predictions")
@styled
def antithetic_predictions(rows: Rows) -> Drawing | None:
    """Those of clip bias, compression and noise; None where no run has a twin."""
    return judged(found(rows))
