r"""Can a model finish a question of which it was shown only the beginning? (2507.10532: so it has read it before)

    cut       given = the first floor(share n) of the question's n pieces (at least one), rest = the others
    exact     the continuation begins with the pieces of the rest
    rouge_l   F1 = 2 LCS / (|rest| + |continuation|), the continuation cut to as many pieces as the rest has

A piece is a word: what stands between blanks. Questions that are bare formulas (a chain: `B:3+5*2    =`) have too few
words to cut, so their pieces are signs: a number, a run of letters, or any other character, blanks included. One unit
for a whole set of questions (`unit_of`), read off the text and not off a tokenizer: two checkpoints are given the same
beginning. The paper does not say how it cuts, nor how long a continuation it compares; this is our reading.
Left out: stemming and case folding (a text remembered is remembered letter by letter), the official ROUGE tokeniser.
Whether the continuation also answers the question it invented the end of is for the grader to say.
"""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from probe.errors import BadInput

Unit = Literal["word", "sign"]
SHARES = (40, 60, 80)  # percent of the question that is given
FEWEST = 5  # pieces that a question must have to be cut, so that every share gives some and leaves some
_PIECE = {"word": re.compile(r"\S+"), "sign": re.compile(r"\d+|[A-Za-z]+|[\s\S]")}


@dataclass(frozen=True)
class Cut:
    """A question in two: `given` has no blank at its end where pieces are words; given + rest is the question."""

    given: str
    rest: str


def unit_of(questions: Sequence[str]) -> Unit:
    """Signs where most of the questions have fewer than FEWEST words."""
    short = sum(len(question.split()) < FEWEST for question in questions)
    return "sign" if 2 * short > len(questions) else "word"


def pieces(text: str, unit: Unit) -> list[str]:
    """The words or signs of a text, in order."""
    return _PIECE[unit].findall(text)


def can_cut(question: str, unit: Unit) -> bool:
    """Whether the question is long enough."""
    return len(pieces(question, unit)) >= FEWEST


def cut(question: str, percent: int, unit: Unit) -> Cut:
    """The first `percent` of the question's pieces, and the rest. BadInput for a question that is too short."""
    if not 0 < percent < 100:
        raise BadInput(f"cannot give {percent} % of a question", where="cut", do="give more than 0 and less than 100")
    ends = [match.end() for match in _PIECE[unit].finditer(question)]
    if len(ends) < FEWEST:
        raise BadInput(f"{question[:60]!r} has {len(ends)} {unit}s", where="cut", do=f"leave out those below {FEWEST}")
    at = ends[max(1, len(ends) * percent // 100) - 1]
    return Cut(question[:at], question[at:])


def exact(continuation: str, rest: str, unit: Unit) -> bool:
    """Whether the continuation begins with the rest; however much follows."""
    wanted = pieces(rest, unit)
    return pieces(continuation, unit)[: len(wanted)] == wanted


def rouge_l(continuation: str, rest: str, unit: Unit) -> float:
    """ROUGE-L F1 in [0, 1] of the rest and the beginning of the continuation; 0 where either is empty."""
    wanted = pieces(rest, unit)
    given = pieces(continuation, unit)[: len(wanted)]
    return 2 * lcs(given, wanted) / (len(given) + len(wanted)) if given and wanted else 0.0


def lcs(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Length of the longest common subsequence, in O(len(first) len(second)) time, one row at a time."""
    codes: dict[Hashable, int] = {}
    left, right = (np.array([codes.setdefault(item, len(codes)) for item in each]) for each in (first, second))
    row = np.zeros(right.size + 1, dtype=np.int64)  # row[j]: of what was read of `first` and the first j of `second`
    for code in left:
        row[1:] = np.maximum(row[1:], row[:-1] + (right == code))
        np.maximum.accumulate(row, out=row)
    return int(row[-1])
