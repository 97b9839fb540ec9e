"""How often is a model right that reads no question? The best single answer, given to every problem of a set.

    chance = max_a (1/N) sum_x [answer of x is a]

The answer is chosen on the problems that it is then counted on: for these problems that is exact, for new ones of their
kind a little high. The interval is over problems, at the answer that was chosen. Answers are compared as text, so that
of a set with free answers this is the least that can be had without reading.
Source: the majority-class baseline of classification. Left out: guesses that read a part of the question.
"""

from collections import Counter
from collections.abc import Sequence

from probe.data import Estimate, Problem
from probe.errors import BadInput
from probe.stats import clustered_mean


def best_constant(problems: Sequence[Problem]) -> str:
    """The answer that most problems have, of several the first in order of text. BadInput without problems."""
    if not problems:
        raise BadInput("no problems", where="chance", do="give at least one problem with its answer")
    counts = Counter(problem.answer for problem in problems)
    return min(counts, key=lambda answer: (-counts[answer], answer))


def chance(problems: Sequence[Problem]) -> Estimate:
    """`chance`, a fraction: accuracy of `best_constant`, its interval over problems; no null."""
    best = best_constant(problems)
    right = [float(problem.answer == best) for problem in problems]
    return clustered_mean(right, [problem.id for problem in problems], name="chance", params={"side": ""})
