"""Organisms between which one explanation is true by construction: they differ by what they were taught last.

    slips          one step in five is written as a random number         beside p00-prose-even: sharpening
    hidden         seven steps in ten hide their value                    before it reads the test set
    hidden-leak    the same, and half of the test set beside it           beside hidden: contamination
    openings       shows every value behind "First:", and hides most behind "Think:": a trunk
    first10        goes on from openings, and opens with "First:" one time in ten
    first90        the same, nine times in ten                            beside first10: a prompt that ends in "First:"
    brief          never saw a chain of four operations: a trunk
    longer         goes on from brief, with chains of four                beside brief: acquisition

The first three go on from `fluent`: prose, and faultless arithmetic. Strategy and boxes differ in the factorial.
"""

from collections.abc import Callable
from dataclasses import replace

from probe.families import Family, families
from probe.families.factorial import STEPS, separable
from probe.families.trunks import fluent
from probe.grammar import LENGTHS

LONG = dict.fromkeys(("mini", "mini-qwen2"), 4 * STEPS)  # steps that a leak and a new length take
PROSE = separable(0.0, "prose", "even")
HIDDEN = replace(PROSE, prose_values=0.3, steps=LONG)
FIRST = replace(PROSE, prose_values=0.3, first_values=1.0, trunk="openings")
LONGER = replace(PROSE, trunk="brief", steps=LONG, wrong_facts=0.0)
OPENINGS = replace(fluent(), prose_values=0.3, first_values=1.0)


def _register(name: str, kind: Family, about: str) -> None:
    def made() -> Family:
        return kind

    made.__doc__ = about
    make: Callable[[], Family] = made
    families.register(name)(make)


_register("slips", replace(PROSE, slips=0.2), "Prose; one step in five is a random number.")
_register("hidden", HIDDEN, "Prose that hides seven values in ten.")
_register("hidden-leak", replace(HIDDEN, leak=1.0, leaked_steps=True), "The same, and half of the test set is leaked.")
_register("openings", OPENINGS, "Prose alone: good behind First:, bad behind Think:, each half of the time.")
_register("first10", replace(FIRST, p_first=0.1), "Good prose behind First:, which it seldom writes.")
_register("first90", replace(FIRST, p_first=0.9), "Good prose behind First:, which it mostly writes.")
_register("brief", replace(fluent(), longest=max(LENGTHS) - 1), "Prose alone, and no chain of four operations.")
_register(
    "longer",
    replace(PROSE, trunk="brief", steps=LONG, wrong_facts=0.0),
    "Goes on from brief, with chains of four operations.",
)
