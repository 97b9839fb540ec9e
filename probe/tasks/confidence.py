"""How sure does a response say it is? The number in its last complete <confidence>...</confidence> (2507.16806).

A decimal in [0, 1], or a percentage with its sign: ".85", "1", "85%". None for anything else: 85 without a sign is no
confidence. Left out: confidence in words.
"""

import re

_NUMBER = re.compile(r"\s*+(\d{1,3}(?:\.\d{0,18})?|\.\d{1,18})\s*+(%|\\%)?\s*+", re.ASCII)


def stated_confidence(text: str) -> float | None:
    """The stated confidence of a response's own turn, in [0, 1]; None where it states none."""
    end = text.rfind("</confidence>")
    start = text.rfind("<confidence>", 0, max(end, 0))
    found = _NUMBER.fullmatch(text[start + len("<confidence>") : end]) if start >= 0 else None
    if found is None:
        return None
    value = float(found[1]) / (100 if found[2] else 1)
    return value if value <= 1 else None
