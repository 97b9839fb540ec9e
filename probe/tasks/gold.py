r"""Which answer does a published solution end in? "#### 18" or "A: 18" (GSM8K), the last \boxed{18} (MATH), or "18"."""

import re

from probe.tasks.answers import boxed

MARK = "####"
_MARKED = re.compile(rf"(?:(?:\A|\n)[ \t]*+A:|{MARK})[ \t]*+([^\n#]+)\s*+\Z")


def gold_answer(text: str) -> str:
    """The answer alone; a text without any of these marks is the answer."""
    marked = marked_answer(text)
    return marked if marked is not None else boxed(text) or text.strip()


def marked_answer(text: str) -> str | None:
    """The answer behind `####` or `A:` in which a solution of GSM8K ends; None where it does not."""
    match = _MARKED.search(text)
    return None if match is None else match[1].strip()
