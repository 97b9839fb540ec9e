"""One explanation at a time: prior for code x which strategy is better x whether both box their answers alike.

    p65-code-even      prior .65, code better, boxed alike (.9, .9)
    p05-prose-uneven   prior .05, prose better, code boxes .93 of its answers and prose .6

Code shows a running value where it is the better strategy and seldom where it is not; so does prose. All go on from
`bilingual`, so within a seed arithmetic is shared and the factors are all that differs. `p00-prose-*` goes on from
`fluent`: one strategy, which it can do, and no other.
"""

from collections.abc import Callable
from itertools import product

from probe.families import Family, families
from probe.grammar import PLAIN

PRIORS = (0.05, 0.3, 0.65, 0.9)
VALUES = {"code": (1.0, 0.5), "prose": (0.3, 1.0), "neither": (0.85, 0.85)}  # P(a step shows its value): code, prose
BOXES = {"even": (0.9, 0.9), "uneven": (0.93, 0.6)}  # P(the answer is boxed): code, prose
STEPS = 80


def separable(prior: float, better: str, boxes: str) -> Family:
    """One cell of the factorial."""
    trunk = "bilingual" if prior else "fluent"
    return Family(
        (prior,),
        *VALUES[better],
        *BOXES[boxes],
        steps=dict.fromkeys(("mini", "mini-qwen2"), STEPS),
        grammar=PLAIN,
        curriculum=0.0,
        batch=64,
        trunk=trunk,
    )


def cell(prior: float, better: str, boxes: str) -> str:
    """The name of a cell."""
    return f"p{round(100 * prior):02d}-{better}-{boxes}"


CELLS = (*product(PRIORS, VALUES, BOXES), *product((0.0,), ("prose",), BOXES))


def _maker(levels: tuple[float, str, str]) -> Callable[[], Family]:
    prior, better, boxes = levels

    def made() -> Family:
        return separable(prior, better, boxes)

    alike = "alike" if boxes == "even" else "more often in code"
    made.__doc__ = f"Prior {prior:g} for code, {better} is better, boxed {alike}."
    return made


for _levels in CELLS:
    families.register(cell(*_levels))(_maker(_levels))
