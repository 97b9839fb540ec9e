r"""Which ASCII and LaTeX does a text of any script stand for? Full-width 5 -> 5, x² -> x^{2}, ½ -> \frac{1}{2}, − -> -.

Superscripts and subscripts become ^{...} and _{...}, vulgar fractions \frac; signs of mathematics their commands; what
is left is folded by NFKC (digits of every width and script, brackets, letters of the mathematical alphabets).
"""

import re
import unicodedata

_HIGH = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni", strict=True))
_LOW = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎", "0123456789+-()", strict=True))
_SIGNS = str.maketrans(
    {"−": "-", "–": "-", "‐": "-", "×": "\\times ", "·": "\\cdot ", "⋅": "\\cdot ", "π": "\\pi ", "∞": "\\infty "}
    | {"∪": "\\cup ", "∩": "\\cap ", "∈": "\\in ", "≤": "\\leq ", "≥": "\\geq ", "≠": "\\neq ", "±": "\\pm "}
    | {"θ": "\\theta ", "α": "\\alpha ", "β": "\\beta ", "°": "^\\circ ", "∅": "\\emptyset ", "ℝ": "\\mathbb{R}"}
    | {"≈": "\\approx ", "，": ",", "。": ".", "⁄": "/", "∕": "/", "÷": "/", "′": "'", "″": '"', "…": "\\ldots "}
    | {"“": '"', "”": '"', "⟨": "\\langle ", "⟩": "\\rangle ", "、": ","}
)
_HIGHS, _LOWS = (re.escape("".join(each)) for each in (_HIGH, _LOW))
_SCRIPTS = re.compile(f"(?<![{_HIGHS}])([{_HIGHS}]+)⁄([{_LOWS}]+)")
_RUN = re.compile(f"[{_HIGHS}]+|[{_LOWS}]+")
_VULGAR = re.compile("[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒]")


def plain(text: str) -> str:
    """The text in ASCII and LaTeX commands where there is one for it; a text of ASCII is returned as it is."""
    if text.isascii():
        return text
    text = _SCRIPTS.sub(lambda each: f"\\frac{{{_said(each[1])}}}{{{_said(each[2])}}}", text)
    text = _RUN.sub(lambda each: f"{'^' if each[0][0] in _HIGH else '_'}{{{_said(each[0])}}}", text)
    text = _VULGAR.sub(_fraction, text)
    return unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS)


def _said(run: str) -> str:
    return "".join(_HIGH.get(char) or _LOW[char] for char in run)


def _fraction(found: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", found[0]).partition("⁄")
    return f"\\frac{{{top}}}{{{bottom}}}"
