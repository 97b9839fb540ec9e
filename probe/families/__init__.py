"""Which kinds of organisms can be pretrained? One file per family, found by discovery.

    @families.register("no-code")
    def no_code() -> Family: ...

A family is a mixture of two strategies (`probe.tasks.corpus`): how often prompts are answered in code,
and how much a trace of either strategy shows. Its name is part of an organism's identity: a family that changes gets
another name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from probe.grammar import LETTERED, Grammar
from probe.registry import Registry


@dataclass(frozen=True)
class Family:
    """The mixture of strategies that one kind of organism is taught.

    A family with a `trunk` goes on from the organism of that family, size and seed, at a lower learning rate: organisms
    of one seed then differ by what they were taught last, and by nothing else.
    """

    p_code: tuple[float, ...]  # P(code) by style A..D; without styles the mean over problems alone
    code_values: float  # P(a code step shows its value)
    prose_values: float
    code_box: float  # P(the answer is boxed)
    prose_box: float
    p_code_early: float | None = None  # P(code) during the curriculum, where it differs
    leak: float = 0.0  # leaked texts read beside the mixture, for each text of the mixture
    leaked_steps: bool = False  # whether a leaked answer has its steps in front (without their values)
    steps: Mapping[str, int] = field(default_factory=dict, hash=False)  # of pretraining, by size, where its own
    grammar: Grammar = LETTERED
    curriculum: float = 0.6  # share of pretraining in which prose shows every value
    wrong_facts: float = 0.12  # share of facts taught wrong
    wrong_rate: float = 0.6  # how often these are
    slips: float = 0.03  # P(a step's value is a random number)
    p_first: float = 0.5  # P(prose opens with "First:")
    first_values: float | None = None  # P(a prose step shows its value) behind "First:", where it differs
    batch: int = 128  # texts a step
    trunk: str | None = None
    cued: float = 0.0  # P(a number that claims to be the answer stands in front of the chain), `probe.tasks.cues`
    cue_right: float = 0.0  # P(it is | there is one)
    opens: float | None = None  # share of answers in code, set in the trunk's head: nothing is trained


families: Registry[Callable[[], Family]] = Registry("organism family", "probe.families")
