r"""Where does a response give its final answer? What stands behind it is a re-check, or another problem.

    marks   a complete box that is not empty, <answer>, "#### 18" alone on its line, "the (final) answer is 18"
    final   the first of the marks at the end that all say the same

So a sub-result boxed midway ("The radius is \boxed{3}. Now ...") does not end a response that has another answer, and a
re-check that comes to the same answer does not begin it anew. No marks: a box in an example of the instructions
("for example \boxed{42}", \boxed{answer}), a heading "#### 1. Set up", "the answer is 3 times ...", a box in a closed
block of code. Behind the first mark a new problem ("### Problem 2", "Write a function ...") ends the text.
"""

import re
from collections.abc import Iterator, Sequence

from probe.tasks.answers import boxes

_SAID = re.compile(
    r"<answer>(?P<tag>[^<]{0,400}+)"
    r"|(?:^|\n)#### ?(?P<hash>\$?-?\d[\d,./]{0,40}+%?)(?: [a-z]{1,20})?[ \t]{0,9}(?=\n|\r|\Z)"
    r"|\b[Tt]he (?:final )?answer is:?[ *$]{0,4}(?P<words>-?\d[\d,./]{0,40}+)"
    r"(?!\s?(?:times|more|less|plus|minus|than|multiplied|divided|of|\+|\*(?!\*)|\^|\\times|\\cdot)(?![a-z]))"
)
_EXAMPLE = re.compile(
    r"(?:e\.g\.,?|example,?|such as|form(?:at)?(?: of)?|like|within|inside) ?:?\s?[`\"'$]?\Z", re.IGNORECASE
)
_PLACEHOLDER = re.compile(
    r"(?:\\text\{)?\W?(?:(?:your|the|final|numerical|correct) ){0,3}"
    r"(?:answer|result|value|solution|number|choice|letter)"
    r"(?: here)?\W?\}?|\.\.\.|\\[lc]?dots|_+",
    re.IGNORECASE,
)
_NEW_PROBLEM = re.compile(
    r"\n[#* \t]{0,9}(?:(?:Next |New |Another )?(?:Problem|Question|Example|Exercise|Task|Puzzle|Q)\b"
    r" ?\d{0,4}[ *]{0,4}[:.\r\n]"
    r"|Write (?:a|an|the) |Implement (?:a|an|the) |Let's (?:try|solve|do) another|Here is another)"
)
_TRIMMED = " \t\r\n$.,*"


def final_answer_at(text: str, closed: Sequence[tuple[int, int]] = ()) -> int:
    """Where the final answer starts, len(text) without one; `closed`: spans of closed blocks, in order."""
    marks = _outside(sorted(_marks(text)), closed)
    if not marks:
        return len(text)
    ended = _NEW_PROBLEM.search(text, marks[0][0])
    if ended:
        marks = [mark for mark in marks if mark[0] < ended.start()]
    place = len(marks) - 1
    while place and marks[place - 1][1] == marks[-1][1]:
        place -= 1
    return marks[place][0]


def _marks(text: str) -> Iterator[tuple[int, str]]:
    """(place, what is said) of every answer."""
    for start, answer in boxes(text):
        if not _PLACEHOLDER.fullmatch(answer) and not _EXAMPLE.search(text[max(0, start - 24) : start]):
            yield start, answer.strip(_TRIMMED)
    for found in _SAID.finditer(text):
        said = found[found.lastgroup or 0]
        yield found.start(), said.strip(_TRIMMED)


def _outside(marks: list[tuple[int, str]], closed: Sequence[tuple[int, int]]) -> list[tuple[int, str]]:
    kept, spans = [], iter(closed)
    span = next(spans, None)
    for mark in marks:
        while span is not None and span[1] <= mark[0]:
            span = next(spans, None)
        if span is None or mark[0] < span[0]:
            kept.append(mark)
    return kept
