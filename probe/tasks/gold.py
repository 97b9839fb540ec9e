r"""Which answer does a published solution end in? "#### 18" or "A: 18" (GSM8K), the last \boxed{18} (MATH), or "18"."""

import re

from probe.tasks.answers import boxed

_MARK = re.compile(r"(?:(?:\A|\n)[ \t]*+A:|####)[ \t]*+([^\n#]+)\s*+\Z")


def gold_answer(text: str) -> str:
    """The answer alone; a text without any of these marks is the answer."""
    match = _MARK.search(text)
    if match is not None:
        return match[1].strip()
    return boxed(text) or text.strip()
