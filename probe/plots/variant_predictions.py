"""Which predictions about variants of the recipe came true? Drawn like `predictions`."""

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots._style import styled
from probe.plots.predictions import judged
from probe.stats.variant_predictions import judged as found


@figures.register("variant_predictions")
@styled
def variant_predictions(rows: Rows) -> Drawing | None:
    """Those about forks, signs, one example, clip, calibration; None where no variant was run."""
    return judged(found(rows))
