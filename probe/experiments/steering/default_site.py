"""At which site is a model steered, unless one is named? Where code and prose are first far apart.

First: what is written early is read by everything behind it. Far: at least half as far as anywhere, the distance of the
two mean states at each site in units of the spread of the states there.
"""

from collections.abc import Mapping

ENOUGH = 0.5  # of the largest separation


def default_site(separation: Mapping[str, float]) -> str:
    """The first site, in the order of the layers, whose separation (spreads) is at least ENOUGH of the largest."""
    far = ENOUGH * max(separation.values())
    return next(site for site, value in separation.items() if value >= far)
