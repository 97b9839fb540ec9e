"""Which predictions of asking otherwise and of RL came true? Drawn like `predictions`."""

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots._style import styled
from probe.plots.predictions import judged
from probe.stats.elicitation_predictions import judged as found


@figures.register("elicitation_predictions")
@styled
def elicitation_predictions(rows: Rows) -> Drawing | None:
    """Those of strategy prior, compression and new skill; None where nothing was elicited."""
    return judged(found(rows))
