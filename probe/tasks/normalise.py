r"""One spelling per answer: the normal form that string equality is taken on, and the number an answer is.

`normalise` undoes spelling, never value: \dfrac -> \frac, \frac12 -> \frac{1}{2}, \left and \right, spacing, dollars,
\text{}, unicode signs, trailing full stop, degrees, percent, units after a number, thousands commas. `number` reads
the exact rational of an integer, decimal, fraction or \frac{a}{b}, and None for everything else.

After Minerva's `normalize_final_answer` (2206.14858, appendix) and hendrycks/math's `strip_string`, with their traps
left out: no word is deleted from inside an answer, and a text answer stays text.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_ANSWER = 1000  # characters; an answer longer than this is not one (the longest gold of MATH-500 has 53)

_UNICODE = str.maketrans(
    {"−": "-", "–": "-", "×": "\\times ", "·": "\\cdot ", "π": "\\pi ", "∞": "\\infty ", "∪": "\\cup ", "∩": "\\cap "}
    | {"≤": "\\leq ", "≥": "\\geq ", "≠": "\\neq ", "±": "\\pm ", "θ": "\\theta ", "°": "^\\circ "}
    | {"²": "^2", "³": "^3", "\u00a0": " ", "\u2009": " ", "，": ",", "。": "."}
)
_SPELLING = (
    (r"(?<!\\)\\[()\[\]]|\\?\$", ""),  # delimiters of a formula, dollar signs
    (r"(?:√|(?<![\\A-Za-z])sqrt)\s*\(([^()]*)\)", r"\\sqrt{\1}"),
    (r"√\s*(\w+)", r"\\sqrt{\1}"),
    (r"(?<![\\A-Za-z])pi(?![A-Za-z])", r"\\pi "),
    (r"(?<![\\A-Za-z])infinity(?![A-Za-z])", r"\\infty "),
    (r"\*\*\s*(-?\w+|\([^()]*\))", r"^{\1}"),
    (r"\^\s*(-?\d{2,}|-\d)", r"^{\1}"),
    (r"\\(?:left|right|big|Big|bigg|Bigg)[lr]?(?![A-Za-z])\.?", ""),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\\(?:mathrm|mathbf|mathit|operatorname|boldsymbol|displaystyle|textstyle)(?![A-Za-z])", ""),
    (r"\\(?:textbf|textit|textrm|mbox|hbox)(?![A-Za-z])", r"\\text"),
    (r"\{bmatrix\}", "{pmatrix}"),
    (r"\\le(?![A-Za-z])", r"\\leq"),
    (r"\\ge(?![A-Za-z])", r"\\geq"),
    (r"\\ne(?![A-Za-z])", r"\\neq"),
    (r"(?<=\d),\\!\s*(?=\d{3})|(?<=\d)\{,\}(?=\d{3})", ""),
    (r"(?<!\\)\\[,;:! ]|~|\\q?quad(?![A-Za-z])", " "),
    (r"\\frac\s*(\d)\s*(\d)(?!\d)", r"\\frac{\1}{\2}"),
    (r"\\frac\s*(\d)\s*\{", r"\\frac{\1}{"),
    (r"(\\frac\s*\{[^{}]*\})\s*(\d)", r"\1{\2}"),
    (r"\\sqrt\s*(\w)", r"\\sqrt{\1}"),
    (r"\^\{?\\(?:circ|degree)\}?|\\degree(?![A-Za-z])", ""),
    (r"(?<![\d/.])(\d+) +(\d+)/(\d+)(?![\d/])", r"\1\\frac{\2}{\3}"),
    (r"\\?%", ""),
    (r"([_^])\s*\{\s*(\w)\s*\}", r"\1\2"),
)
_RULES = tuple((re.compile(pattern), new) for pattern, new in _SPELLING)

_UNIT_WORDS = (
    "degree|cent|dollar|inch|foot|feet|yard|mile|meter|metre|centimeter|kilometer|cm|mm|km|ft|mph|unit|square"
    "|cubic|second|minute|hour|day|week|month|year|gallon|liter|pound|ounce|gram|kilogram|kg|point|way|student|people"
    "|per|sq|percent|egg|apple|time"
)
_UNIT = re.compile(
    rf"(?:\\text\{{[^{{}}]*\}}|(?<![A-Za-z])(?:{_UNIT_WORDS})(?:es|s)?(?![A-Za-z]))(?:\s*\^\{{?[23]\}}?)?"
)
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_WORDS = re.compile(r"[A-Za-z][a-z]{3,}(?: [A-Za-z]+)*|[A-J]|\([A-J]\)")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_LEFT_SIDE = re.compile(r"([A-Za-z](?:_\{?\w\}?)?|[a-z]\([a-z]\))\s*=\s*([^=<>]+)")
_NUMBER = re.compile(r"([-+]?)(\d{1,1000}(?:\.\d{0,1000})?|\.\d{1,1000})(?:[eE]([-+]?\d{1,3}))?")
_FRACTION = re.compile(r"([-+]?)(\d{0,9})\\frac\{([^{}]*)\}\{([^{}]*)\}")
_BLANKS = re.compile(r"\s+")
_AROUND = re.compile(r" ?([^\w\s\\]|_) ?")  # after _BLANKS
_GLUED = re.compile(r"(?<=\d) (?=[A-Za-z\\])|(?<=\\pm) |(?<=\\cdot) (?=\W)")
_GROUP = re.compile(r"\{[^{}]*\}")
_CHOICE = re.compile(r"^\((\w)\)$")
_BASE = re.compile(r"(\w+?)_\{?(\d+)\}?")


@dataclass(frozen=True)
class Number:
    """An exact value; `places` counts the decimals it was written with (0 for integers and fractions)."""

    value: Fraction
    places: int = 0


def normalise(answer: str) -> str:
    """The normal form of an answer of at most MAX_ANSWER characters: no spaces but those between words."""
    text = answer.translate(_UNICODE).strip()
    for pattern, new in _RULES:
        text = pattern.sub(new, text)
    text = _without_units(text.strip().rstrip(".").strip())
    text = _TEXT.sub(r"\1", text)
    text = _GLUED.sub("", _AROUND.sub(r"\1", _BLANKS.sub(" ", text))).strip()
    text = text.replace(",", "") if _THOUSANDS.fullmatch(text) else text
    return text[1:-1] if _GROUP.fullmatch(text) else text


def _without_units(text: str) -> str:
    """The text without the units that end it, where a number or a group stands before them."""
    end = kept = len(text)
    for start, stop in reversed([match.span() for match in _UNIT.finditer(text)]):
        if text[stop:end].strip():
            break
        end = start
        while end and text[end - 1].isspace():
            end -= 1
        if end and (text[end - 1].isdecimal() or text[end - 1] in ")}"):
            kept = end
    return text[:kept]


def sides(text: str) -> tuple[str, str]:
    """(left side, right side) of a normal form `x=5` whose left side is a single name; ("", text) of all others."""
    match = _LEFT_SIDE.fullmatch(text)
    return (match.group(1), match.group(2)) if match else ("", text)


def is_word(answer: str) -> bool:
    r"""Whether an answer is text, not mathematics: \text{...}, a plain word of four letters or more, a choice A-J."""
    stripped = answer.strip().strip("$.").strip()
    return bool(_TEXT.fullmatch(stripped) or _WORDS.fullmatch(stripped))


def word(text: str) -> str:
    """What two text answers are compared on: lower case, without the parentheses of a choice "(C)"."""
    return _CHOICE.sub(r"\1", text.strip()).lower()


def base(text: str) -> tuple[str, str] | None:
    """(digits, base) of a numeral with a base, `52_8`; None for everything else."""
    match = _BASE.fullmatch(text)
    return (match.group(1), match.group(2)) if match else None


def number(text: str) -> Number | None:
    """The rational a normal form spells, or None. Exact: no float is involved. `1\\frac{1}{2}` is a mixed number."""
    fraction = _FRACTION.fullmatch(text)
    if fraction or text.count("/") == 1:
        sign, whole, top, bottom = fraction.groups() if fraction else ("", "", *text.split("/"))
        above, below = number(top.strip("()")), number(bottom.strip("()"))
        if above is None or below is None or below.value == 0 or above.places or below.places:
            return None
        return Number((-1 if sign == "-" else 1) * (int(whole or 0) + above.value / below.value))
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    digits, exponent = match.group(2), int(match.group(3) or 0)
    places = max(0, len(digits.partition(".")[2]) - exponent)
    return Number(Fraction(match.group(1) + digits.rstrip(".")) * Fraction(10) ** exponent, places)


def grouping(text: str) -> str:
    r"""How a normal form groups its parts: "()" "[]" "(]" "[)", "set" ({1,2} or the bare list 1,2), "" if none."""
    body = text.replace("\\{", "<").replace("\\}", ">")
    depth, top_comma, closes_early = 0, False, False
    for at, char in enumerate(body):
        depth += (char in "([{<") - (char in ")]}>")
        top_comma |= char == "," and depth == 0
        closes_early |= depth == 0 and at < len(body) - 1
    if top_comma or (body[:1] == "<" and not closes_early):
        return "set"
    outer = body[:1] + body[-1:]
    return outer if outer in ("()", "[]", "(]", "[)") and not closes_early and "," in body else ""
