"""Which predictions about cues came true? Drawn like `predictions`."""

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots._style import styled
from probe.plots.predictions import judged
from probe.stats.cue_predictions import judged as found


@figures.register("cue_predictions")
@styled
def cue_predictions(rows: Rows) -> Drawing | None:
    """Those about following a cue and about its removal; None where no cue was given."""
    return judged(found(rows))
