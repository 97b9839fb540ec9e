"""What is read off the residual stream of a real model? `probe_accuracy`, of weights that were not made here."""

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots.probe_accuracy import probe_accuracy


@figures.register("real_probes")
def real_probes(rows: Rows) -> Drawing | None:
    """None where no such model was probed."""
    return probe_accuracy([row for row in rows if not row.get("size")])
