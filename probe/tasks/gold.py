r"""Which answer does a published solution end in? "#### 18" or "A: 18" (GSM8K), the last \boxed{18} (MATH), or "18"."""

from probe.tasks.answers import boxed

MARK = "####"


def gold_answer(text: str) -> str:
    """The answer alone; a text without any of these marks is the answer."""
    marked = marked_answer(text)
    return marked if marked is not None else boxed(text) or text.strip()


def marked_answer(text: str) -> str | None:
    """The answer behind `####` or `A:` in which a solution of GSM8K ends; None where it does not."""
    line = text.rstrip().rpartition("\n")[2].strip()
    _, mark, answer = line.rpartition(MARK)
    if not mark:
        answer = line[2:] if line.startswith("A:") else ""
    return None if "#" in answer else answer.strip() or None
