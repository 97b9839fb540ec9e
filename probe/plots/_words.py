"""How is a number said in a title or a caption, without claiming more than its interval shows?

Text that comes from data (names of rewards, families, systems) passes through `plain` before it is drawn: control
characters, characters without a glyph and overlong names are replaced. Nothing is read as mathtext (`_style.RC`), so
dollars and backslashes are drawn as they are.
"""

import math
from collections.abc import Iterable, Sequence
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font

from probe.numbers import bracketed, decimal, pointed

LONGEST = 20  # characters of a name; a longer one is cut in the middle
UNKNOWN, NOT_CLEAR = "no interval", "no clear change"


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap())


def plain(text: object, longest: int = LONGEST) -> str:
    """`text` as one line of at most `longest` drawable characters."""
    line = " ".join(str(text).split())
    line = "".join(c if c.isprintable() and ord(c) in _glyphs() else "?" for c in line) or "?"
    if len(line) <= longest:
        return line
    head = longest // 2
    return f"{line[:head]}…{line[head + 1 - longest :]}"


def number(value: float) -> str:
    """Two decimals without the leading zero: .42, -.08, 1.30; "?" where there is no number."""
    return decimal(value, 2, missing="?").replace("-.00", ".00")


def small(value: float) -> str:
    """Two significant digits: .14, .0041, 0."""
    text = f"{value:.2g}" if math.isfinite(value) else "?"
    return pointed(text) if value > 0 else text


def signed(value: float) -> str:
    """The same with its sign: +.42, -.08, and .00 where it rounds to nothing."""
    text = number(value)
    return f"+{text}" if value > 0 and text != ".00" else text.replace("-", "−")


def direction(lo: float, hi: float) -> str:
    """What an interval shows against 0: "rises", "falls", "no clear change", or "no interval" (one run)."""
    if not (math.isfinite(lo) and math.isfinite(hi)):
        return UNKNOWN
    if lo > 0:
        return "rises"
    return "falls" if hi < 0 else NOT_CLEAR


def listing(items: Iterable[str]) -> str:
    """a; a and b; a, b and c."""
    words = list(items)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "none"


def span(counts: Sequence[int], noun: str) -> str:
    """ "10 runs", or "8–10 runs" where they differ; the noun is given in the singular."""
    if not counts:
        return f"no {noun}s"
    least, most = min(counts), max(counts)
    several = "s" if most != 1 else ""
    return f"{most} {noun}{several}" if least == most else f"{least}–{most} {noun}{several}"


def sentence(text: str) -> str:
    """With a capital at the start, the rest as it is."""
    return text[:1].upper() + text[1:]


def interval(lo: float, hi: float) -> str:
    """[−.02, .11], or "(no interval)"."""
    return bracketed(lo, hi, number, missing=f"({UNKNOWN})").replace("-", "−")
