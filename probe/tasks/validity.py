"""Is every step of a trace true? Local validity (arXiv 2510.18176), without a judge.

    chain problems   exact: each value shown, against the chain of the problem (`probe.tasks.chain.check_trace`)
    any other        the equalities of numbers that the text states (`probe.tasks.equations`)

A trace is valid if it shows a step that can be checked and none of those is false. This is local: true steps may lead
nowhere, or answer another question, and most of a text (set-up, algebra, geometry) is not looked at.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from probe.errors import BadInput
from probe.tasks.answers import own_turn
from probe.tasks.chain import Chain, check_trace, parse_prompt
from probe.tasks.equations import equations, holds

_CHAIN = re.compile(r"chain([1-9][0-9]{0,3})/(.+)", re.DOTALL)


@dataclass(frozen=True)
class TextCheck:
    """How many equalities a text states, how many are true, and where the false ones stand."""

    checked: int
    true: int
    false: tuple[tuple[int, int], ...]

    @property
    def valid(self) -> bool | None:
        """Whether none is false; None where there was nothing to check."""
        return not self.false if self.checked else None


def check_text(text: str) -> TextCheck:
    """The equalities of numbers in a text, up to its end-of-text marker."""
    stated = equations(own_turn(text))
    false = tuple(each.span for each in stated if not holds(each))
    return TextCheck(len(stated), len(stated) - len(false), false)


def trace_valid(problem: str, text: str) -> bool | None:
    """Whether the trace of a response to the problem of this id is valid; None where it shows nothing to check."""
    chain = _chain(problem)
    if chain is None:
        return check_text(text).valid
    check = check_trace(chain, text)
    return check.valid if check.shown else None


@lru_cache(maxsize=4096)
def _chain(problem: str) -> Chain | None:
    """The chain that a problem's id states, "chain7/B:3+5*2    ="; None for any other id."""
    match = _CHAIN.fullmatch(problem)
    if match is None:
        return None
    try:
        return parse_prompt(match[2], int(match[1]))
    except BadInput:
        return None
