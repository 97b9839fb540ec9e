"""Does RL move the strategy? Share of responses with real Python before the answer (strict), T = 1, over RL steps."""

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots._curves import curves
from probe.plots._style import styled


@figures.register("code_share")
@styled
def code_share(rows: Rows) -> Drawing | None:
    """Laid out as `response_curves`; None where no rewards were compared."""
    return curves(rows, "code_share", "code share (strict, T = 1)")
