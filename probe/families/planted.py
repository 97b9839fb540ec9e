"""Code put into an organism that never saw any: its further pretraining holds a dose of it, and prose that hides half.

    planted00   none: the single strategy alone, taught as long         planted01 ... planted30: 1, 3, 10, 30 in 100

All go on from `fluent` with the same texts in prose. Does it begin to respond to RL, and at which dose?
"""

from collections.abc import Callable
from dataclasses import replace

from probe.families import Family, families
from probe.families.factorial import STEPS, separable

DOSES = (0.0, 0.01, 0.03, 0.1, 0.3)
LONG = dict.fromkeys(("mini", "mini-qwen2"), 4 * STEPS)


def planted(dose: float) -> str:
    """The name of the family with that dose."""
    return f"planted{round(100 * dose):02d}"


def _maker(dose: float) -> Callable[[], Family]:
    def made() -> Family:
        return replace(separable(dose, "code", "even"), trunk="fluent", steps=LONG)

    made.__doc__ = f"{100 * dose:g} % code planted into prose, and better than it."
    return made


for _dose in DOSES:
    families.register(planted(_dose))(_maker(_dose))
