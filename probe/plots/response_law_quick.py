"""Does accuracy change by what the move between strategies must give? The quick form, of four kinds of organisms."""

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots.response_law import response_law


@figures.register("response_law_quick")
def response_law_quick(rows: Rows) -> Drawing | None:
    """As `response_law`; a figure of its own, so that neither takes the other's place."""
    return response_law(rows)
