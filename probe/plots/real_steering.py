"""Does steering move a real model, and does it do what RL did? `steering`, of weights that were not made here."""

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots.steering import steering


@figures.register("real_steering")
def real_steering(rows: Rows) -> Drawing | None:
    """None where no such model was steered."""
    return steering([row for row in rows if not row.get("size")])
