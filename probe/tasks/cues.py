"""What if the prompt itself claims an answer? A cue: a number in front of the chain that may be right.

    53=12+5*2    =      the cue 53, then the chain

A cue is two tokens that the plain grammar has anyway, so no vocabulary changes, and it stands in front, so the chain's
tokens keep their distances where it is removed. A wrong cue is any of the other numbers alike; with `cue_right` one in
`modulus` a cue is any number and says nothing. The id of a problem stays that of its chain: the same problem under
another cue meets the same random draws, and its steps are checked against the chain.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from probe.data import Problem
from probe.errors import BadInput
from probe.families import Family
from probe.rng import uniforms
from probe.tasks.chain import Chain

Cue = Literal["right", "wrong", "removed"]


def taught(chain: Chain, kind: Family, u: Float[np.ndarray, "3"]) -> str:
    """The prompt of a chain as the family is taught it. `u` are uniform draws: a cue? right? which other number?"""
    return _drawn(chain.prompt, chain.values[-1], chain.modulus, kind, u)


def as_taught(problem: Problem, kind: Family) -> Problem:
    """The problem as the family is taught such problems; what stands in front of it is a function of its id."""
    if not kind.cued:
        return problem
    u = uniforms(3, "cue as taught", problem.id)
    return replace(problem, prompt=_drawn(problem.prompt, int(problem.answer), kind.grammar.modulus, kind, u))


def cued(problem: Problem, cue: Cue, modulus: int) -> Problem:
    """The problem with that cue in front."""
    if cue == "removed":
        return problem
    value = int(problem.answer) if cue == "right" else wrong_cue(problem, modulus)
    return replace(problem, prompt=f"{value}={problem.prompt}")


def wrong_cue(problem: Problem, modulus: int) -> int:
    """A number that is not the answer, all alike; the same for the same problem. BadInput on an answer that is none."""
    if not problem.answer.isdecimal() or int(problem.answer) >= modulus:
        raise BadInput(f"{problem.answer!r} is no answer modulo {modulus}", where="cue", do="give a chain's problem")
    return _other(int(problem.answer), modulus, float(uniforms(1, "wrong cue", problem.id)[0]))


def _drawn(prompt: str, answer: int, modulus: int, kind: Family, u: Float[np.ndarray, "3"]) -> str:
    if u[0] >= kind.cued:
        return prompt
    return f"{answer if u[1] < kind.cue_right else _other(answer, modulus, float(u[2]))}={prompt}"


def _other(answer: int, modulus: int, u: float) -> int:
    return (answer + 1 + int(u * (modulus - 1))) % modulus
