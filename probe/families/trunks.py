"""What separable organisms know before they differ: faultless arithmetic, every value shown, in one strategy or two.

bilingual   code and prose alike: the trunk of the factorial
fluent      prose alone: the trunk of what never saw code ("the Llama that can do mathematics"), until it is planted
"""

from probe.families import Family, families
from probe.grammar import PLAIN


@families.register("bilingual")
def bilingual() -> Family:
    """Half code, half prose, both as good as they get: what the factorial goes on from."""
    return Family((0.5,), 1.0, 1.0, 0.9, 0.9, grammar=PLAIN, curriculum=0.0, wrong_facts=0.0, batch=64)


@families.register("fluent")
def fluent() -> Family:
    """Prose alone, as good as it gets: what never saw code."""
    return Family((0.0,), 0.0, 1.0, 0.9, 0.9, grammar=PLAIN, curriculum=0.0, wrong_facts=0.0, batch=64)
