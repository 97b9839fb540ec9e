"""What does a text say? Its answer, whether that is right, and the strategy it takes: from text alone."""

import functools
from collections.abc import Sequence
from typing import Any

from probe.strategy import detect, mentions_python
from probe.tasks.extractors import Extract
from probe.tasks.grading import Grader


def grade_columns(texts: Sequence[str], golds: Sequence[str], extract: Extract = "boxed") -> dict[str, list[Any]]:
    """The graded columns of RESPONSES."""
    grades = _grader(extract).grade_many(texts, golds)
    return {
        "boxed": [grade.prediction for grade in grades],
        "outcome": [str(grade.outcome) for grade in grades],
        **strategy_columns(texts),
        "confidence": [None] * len(texts),
    }


@functools.cache
def _grader(extract: Extract) -> Grader:
    """One for the life of the process: its worker takes longer to start than an organism's responses to grade."""
    return Grader(extract=extract)


def strategy_columns(texts: Sequence[str]) -> dict[str, list[Any]]:
    """How each text reasons: the strict detector's label, and the paper's substring metric (2506.10947)."""
    return {
        "strategy": [str(detect(text).label) for text in texts],
        "python": [mentions_python(text) for text in texts],
    }
