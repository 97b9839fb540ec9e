"""Organisms between which one explanation is true by construction: they differ by what they were taught last.

    slips          one step in five is written as a random number
    steady         one in thirty                                          beside slips: sharpening
    hidden         seven steps in ten hide their value
    hidden-leak    the same, and half of the test set beside it           beside hidden: contamination
    mistaken       four facts in ten are always taught wrong
    mended         none is                                                beside mistaken: acquisition
    openings       shows every value behind "First:", and hides most behind "Think:": a trunk
    first10        goes on from openings, and opens with "First:" one time in ten
    first90        the same, nine times in ten                            beside first10: a prompt that ends in "First:"
    opened-code    p30-code-even, its head edited until it opens in code nine times in ten: strategy, and nothing else
    opened-prose   p30-prose-even, edited alike

The first six go on from `fluent`, prose alone, and box every answer. Strategy and boxes differ in the factorial. An
organism that was taught more code has also practised it; the two that were opened have not.
"""

from collections.abc import Callable
from dataclasses import replace

from probe.families import Family, families
from probe.families.factorial import STEPS, cell, separable
from probe.families.trunks import fluent

LONG = dict.fromkeys(("mini", "mini-qwen2"), 4 * STEPS)  # steps that facts and a leak take
PLAIN_PROSE = replace(separable(0.0, "prose", "even"), prose_box=1.0, wrong_facts=0.0)
HIDDEN = replace(PLAIN_PROSE, prose_values=0.3, steps=LONG)
MISTAKEN = replace(PLAIN_PROSE, wrong_facts=0.4, wrong_rate=1.0, steps=LONG)
OPENINGS = replace(fluent(), prose_values=0.3, first_values=1.0)
FIRST = replace(PLAIN_PROSE, prose_values=0.3, first_values=1.0, trunk="openings")

OPENED = {
    better: replace(separable(0.3, better, "even"), trunk=cell(0.3, better, "even"), opens=0.9)
    for better in ("code", "prose")
}


def _register(name: str, kind: Family, about: str) -> None:
    def made() -> Family:
        return kind

    made.__doc__ = about
    make: Callable[[], Family] = made
    families.register(name)(make)


_register("slips", replace(PLAIN_PROSE, slips=0.2), "Prose; one step in five is a random number.")
_register("steady", PLAIN_PROSE, "Prose; one step in thirty is a random number.")
_register("hidden", HIDDEN, "Prose that hides seven values in ten.")
_register("hidden-leak", replace(HIDDEN, leak=1.0, leaked_steps=True), "The same, and half of the test set is leaked.")
_register("mistaken", MISTAKEN, "Prose; four facts in ten are always wrong.")
_register("mended", replace(PLAIN_PROSE, steps=LONG), "Prose; every fact is right.")
_register("openings", OPENINGS, "Prose alone: good behind First:, bad behind Think:, each half of the time.")
_register("first10", replace(FIRST, p_first=0.1), "Good prose behind First:, which it seldom writes.")
_register("opened-code", OPENED["code"], "p30-code-even, its head edited: opens in code nine times in ten.")
_register("opened-prose", OPENED["prose"], "p30-prose-even, its head edited: opens in code nine times in ten.")
_register("first90", replace(FIRST, p_first=0.9), "Good prose behind First:, which it mostly writes.")
