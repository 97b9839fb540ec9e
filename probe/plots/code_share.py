"""Does RL move the strategy? Share of responses with real Python before the answer (strict), T = 1, over RL steps."""

from probe.plots import Drawing, Rows, figures
from probe.plots._curves import Quantity, curves
from probe.plots._style import styled


@figures.register("code_share")
@styled
def code_share(rows: Rows) -> Drawing | None:
    """Laid out as `response_curves`; None without a run of the tiny study."""
    return curves(rows, Quantity("code_share", "code share", "code share (strict, T = 1)"))
