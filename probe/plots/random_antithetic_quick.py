"""What does a random reward leave once its draws cancel? The quick form, of two clip settings."""

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots.random_antithetic import random_antithetic


@figures.register("random_antithetic_quick")
def random_antithetic_quick(rows: Rows) -> Drawing | None:
    """As `random_antithetic`; a figure of its own, so that neither takes the other's place."""
    return random_antithetic(rows)
