"""How is a number written? Without the zero before the point, as in papers: .42, -.08, 1.30."""

import math
from collections.abc import Callable


def decimal(value: float | None, digits: int, *, sign: bool = False, missing: str = "") -> str:
    """`digits` decimals, a + too with `sign`; `missing` where there is no number."""
    if value is None or not math.isfinite(value):
        return missing
    return pointed(f"{value:{'+' if sign else ''}.{digits}f}")


def pointed(text: str) -> str:
    """A number's text without the zero before its point."""
    return text.replace("0.", ".", 1) if text.lstrip("+-").startswith("0.") else text


def bracketed(lo: float, hi: float, write: Callable[[float], str], *, missing: str = "") -> str:
    """[.42, .51], each limit as `write` has it; `missing` where one is no number."""
    return f"[{write(lo)}, {write(hi)}]" if math.isfinite(lo) and math.isfinite(hi) else missing
