"""What if the prompt claims an answer? The mixture of `p30-code-even`, with a cue in front of half of its prompts.

    cued80          the cue is right in 80 of 100 of them: where the text shows no value, it is worth going by
    cued-shuffled   any number: right in one of 97, worth nothing. The twin: the same texts behind other cues

The texts themselves always compute; what a cue is good for is what the model makes of it. Without a trunk: one that
never saw a cue did not learn to go by it in 320 steps.
"""

from dataclasses import replace

from probe.families import Family, families
from probe.families.factorial import separable
from probe.grammar import PLAIN

CUED, RIGHT = 0.5, 0.8


def cued(right: float) -> Family:
    """The family whose cues are right that often."""
    return replace(separable(0.3, "code", "even"), trunk=None, steps={}, cued=CUED, cue_right=right)


@families.register("cued80")
def cued80() -> Family:
    """A cue in front of half the prompts, right in 80 % of them."""
    return cued(RIGHT)


@families.register("cued-shuffled")
def cued_shuffled() -> Family:
    """A cue in front of half the prompts that is linked to nothing."""
    return cued(1 / PLAIN.modulus)
