"""How else can the same solution of a chain be written, in the same strategy?

    opening    prose behind the other of its two openings                                     Think: -> First:
    values     what steps show of their values is left out                                    x=x+5#1 -> x=x+5
    answer     both of these
    letter     the prompt's style letter is the next one: it says nothing about the answer,   B:3+5=  ->  C:3+5=
               and sets how likely code is; what is written stays

Operations, their order, the strategy and the final answer stay. What is no chain stays as it is; so does a text in
which there is nothing to change. Left out: values put in where none are shown, which would make a text likelier right.
"""

import re
from typing import Literal, get_args

from probe.errors import BadInput
from probe.grammar import LETTERED
from probe.tasks.corpus import PROSE_OPENS

Rewording = Literal["opening", "values", "answer", "letter"]
REWORDINGS: tuple[Rewording, ...] = get_args(Rewording)

_CHAIN = re.compile(r"(?:[A-D]:)?\d+(?:[+\-*]\d+)+ *=")
_VALUE = re.compile(r"(\nx=x[+\-*]\d+)#\d+|( (?:plus|minus|times) \d+)=\d+")


def reworded(prompt: str, answer: str, how: Rewording) -> tuple[str, str]:
    """Prompt and answer in other words. BadInput for an unknown way."""
    if how not in REWORDINGS:
        raise BadInput(f"no rewording is called {how!r}", where="reworded", do=f"one of {', '.join(REWORDINGS)}")
    if _CHAIN.fullmatch(prompt) is None:
        return prompt, answer
    if how == "letter" and prompt[1] == ":":
        styles = LETTERED.styles
        prompt = styles[(styles.index(prompt[0]) + 1) % len(styles)] + prompt[1:]
    if how in ("opening", "answer"):
        one, other = PROSE_OPENS
        first = next((opening for opening in PROSE_OPENS if answer.startswith(opening)), None)
        answer = answer if first is None else (other if first == one else one) + answer.removeprefix(first)
    if how in ("values", "answer"):
        answer = _VALUE.sub(lambda step: step[1] or step[2], answer)
    return prompt, answer
