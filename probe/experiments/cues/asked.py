"""The same problems under each cue, and which answers are the wrong cue."""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pyarrow as pa

from probe.data import Problem
from probe.rollouts.elicitation import Elicitation
from probe.tasks.benchmarks import ProblemSet
from probe.tasks.cues import Cue, cued, wrong_cue

CUES: tuple[Cue, ...] = get_args(Cue)


def elicited(asked: Elicitation, modulus: int) -> list[Elicitation]:
    """`asked` with the cue right, wrong and removed; ids, and so draws, stay."""
    return [replace(asked, problems=_under(asked, cue, modulus)) for cue in CUES]


def follows(responses: pa.Table, problems: Sequence[Problem], modulus: int) -> pa.Table:
    """Of each of RESPONSES whether its answer is the wrong cue of its problem, given or not: `follows`, yes or no."""
    wrong = {problem.id: str(wrong_cue(problem, modulus)) for problem in problems}
    rows = zip(responses["problem"].to_pylist(), responses["boxed"].to_pylist(), strict=True)
    said = ["yes" if answer == wrong[name] else "no" for name, answer in rows]
    return pa.table({"problem": responses["problem"], "follows": said})


def _under(asked: Elicitation, cue: Cue, modulus: int) -> ProblemSet:
    problems = asked.problems
    if cue == "removed":
        return problems
    given = tuple(cued(problem, cue, modulus) for problem in problems.problems)
    return replace(problems, name=f"{problems.name}, cue {cue}", problems=given, pin=f"{problems.pin} cue={cue}")
