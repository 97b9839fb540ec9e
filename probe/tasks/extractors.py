"""By which rule is an answer taken out of a response? A name for each; `auto` says which one it took.

`auto` takes the first strict rule that finds something, in the order boxed, answer_tag, minerva, marked. It is no
fallback in silence: the name of the rule goes with the answer, and whoever uses it shows how many each has read.
`final_number` is lenient and never part of it.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from probe.tasks.answers import answer_tag, boxed, final_number, marked, minerva

Extract = Literal["boxed", "answer_tag", "minerva", "marked", "final_number", "auto"]


class Extracted(NamedTuple):
    """An answer, and the rule that found it; None and "" where none did."""

    answer: str | None
    rule: str


STRICT: dict[str, Callable[[str], str | None]] = {
    "boxed": boxed,
    "answer_tag": answer_tag,
    "minerva": minerva,
    "marked": marked,
}
ONE_RULE = {**STRICT, "final_number": final_number}
NAMES = (*ONE_RULE, "auto")


def extract(text: str, how: Extract) -> Extracted:
    """The answer of a response (its own turn alone) by one rule, or by the first strict one that finds any."""
    rules = STRICT if how == "auto" else {how: ONE_RULE[how]}
    for name, rule in rules.items():
        if (answer := rule(text)) is not None:
            return Extracted(answer, name)
    return Extracted(None, "")
