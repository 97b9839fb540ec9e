r"""One spelling per answer: the normal form that string equality is taken on.

    spelled   signs of unicode, dress, \dfrac -> \frac, \frac12 -> \frac{1}{2}, \left and \right, delimiters, sqrt(5)
    compact   no unit, no percent, no degrees, no \text{}, no blanks but those between words, no thousands separators

Both undo spelling, never value. After Minerva's `normalize_final_answer` (2206.14858, appendix) and hendrycks/math's
`strip_string`, with their traps left out: no word is deleted from inside an answer, and a text answer stays text.
"""

import re

from probe.tasks.reading import units
from probe.tasks.reading.dress import undress, without_braces
from probe.tasks.reading.unicode import plain
from probe.tasks.reading.words import unwrapped

MAX_ANSWER = 1000  # characters; an answer longer than this is not one (the longest gold of MATH-500 has 53)

_SPELLING = (
    (r"(?:√|(?<![\\A-Za-z])sqrt) ?\(([^()]*)\)", r"\\sqrt{\1}"),
    (r"√ ?(\w+)", r"\\sqrt{\1}"),
    (r"(?<![\\A-Za-z])pi(?![A-Za-z])", r"\\pi "),
    (r"(?<![\\A-Za-z])infinity(?![A-Za-z])", r"\\infty "),
    (r"\*\* ?(-?\w+|\([^()]*\))", r"^{\1}"),
    (r"\^ ?(-?\d{2,}|-\d)", r"^{\1}"),
    (r"\\(?:left|right|big|Big|bigg|Bigg)[lr]?(?![A-Za-z])\.?", ""),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\{bmatrix\}", "{pmatrix}"),
    (r"[(\[] ?\\begin\{array\}\{[^{}]*\}", r"\\begin{pmatrix}"),
    (r"\\end\{array\} ?[)\]]", r"\\end{pmatrix}"),
    (r"\\le(?![A-Za-z])|<=", r"\\leq"),
    (r"\\ge(?![A-Za-z])|>=", r"\\geq"),
    (r"\\ne(?![A-Za-z])", r"\\neq"),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r"(?<=\d),\\! ?(?=\d{3})|(?<=\d)\{,\}(?=\d{3})", ""),
    (r"\{:\}", ":"),
    (r"(?<!\\)\\[,;:! ]|~|\\q?quad(?![A-Za-z])|\\ (?= )", " "),
    (r"\\frac ?(\d) ?(\d)(?!\d)", r"\\frac{\1}{\2}"),
    (r"\\frac ?(\d) ?\{", r"\\frac{\1}{"),
    (r"(\\frac ?\{[^{}]*\}) ?(\d)", r"\1{\2}"),
    (r"\\frac ([a-z]) ?([a-z])(?![a-z])", r"\\frac{\1}{\2}"),
    (r"\\sqrt ?(\w)", r"\\sqrt{\1}"),
    (r"\{?(?<!\w)(\w{1,9}) ?\\choose ?(\w{1,9})\}?", r"\\binom{\1}{\2}"),
    (r"\\log_\{?e\}?", r"\\ln "),
    (r"(?<![\d/.])(\d+) +(\d+)/(\d+)(?![\d/])", r"\1\\frac{\2}{\3}"),
    (r"\{ ?\{([^{}]*)\} ?\}", r"{\1}"),
    (r"([_^]) ?\{ ?(\w) ?\}", r"\1\2"),
    (r"(?<![A-Za-z}\]^_\\])\{([A-Za-z0-9])\}", r"\1"),
    (r"(?<=\d) ?(?:\\text ?\{ ?to ?\}|(?<= )to(?= )) ?(?=\d)", ":"),
)
_RULES = tuple((re.compile(pattern), new) for pattern, new in _SPELLING)
_BLANKS = re.compile(r"\s+")
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_DEGREES = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?\^ ?\{? ?\\(?:circ|degree) ?\}?")
_DROPPED = re.compile(r"\^ ?\{? ?\\(?:circ|degree) ?\}?|\\degree(?![A-Za-z])|\\?%|\\\$")
_AROUND = re.compile(r" ?([^\w\s\\]|_) ?")  # after _BLANKS
_GLUED = re.compile(r"(?<=\d) (?=[A-Za-z\\])|(?<=\\pm) |(?<=\\cdot) (?=\W)|(?<=\\times) (?=\W|\d)|(?<=\d) (?=\\)")
_COMMAND_BLANK = re.compile(
    r"(\\(?:times|cdot|pm|mp|cup|cap|in|mid|leq|geq|neq|pi|infty|ln|langle|rangle)) (?![A-Za-z])"
)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3}(?!\d))+(?:\.\d+)?|[-+]?\d{1,3}(?: \d{3})+")
_LEFT_SIDE = re.compile(
    r"([A-Za-z](?:_\{?\w{1,3}\}?)?|[A-Za-z]\([A-Za-z,]{1,5}\)|\\angle ?[A-Z]{1,3}|[A-Z]{2}|\([a-z](?:,[a-z]){1,3}\)"
    r"|\\[a-z]{2,7})"
    r"(?:=|\\approx)([^=<>]+)"
)
_RIGHT_NAME = re.compile(r"([^=<>]+)=([A-Za-z])")
_SUBSCRIPT = re.compile(
    r"[({]?([0-9A-Za-z]{1,100})[)}]?(?:_\{?|(?<=[0-9)]) ?base ?)"
    r"(\d{1,2}|two|three|four|five|six|seven|eight|nine|ten|twelve|sixteen)\}?"
)
_BASES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_BASES |= {"twelve": 12, "sixteen": 16}


def spelled(answer: str) -> str:
    """An answer of at most MAX_ANSWER characters in one spelling, its unit and its text still there."""
    text = undress(_BLANKS.sub(" ", plain(answer)))
    for pattern, new in _RULES:
        text = pattern.sub(new, text)
    if _TRIGONOMETRY.search(text):
        text = _DEGREES.sub(r"\\frac{\1\\pi}{180}", text)
    return _BLANKS.sub(" ", text).strip()


def compact(text: str) -> str:
    """A spelled answer without what does not change its value."""
    text = _BLANKS.sub(" ", unwrapped(_DROPPED.sub("", text)))
    text = _GLUED.sub("", _AROUND.sub(r"\1", text)).strip()
    text = without_braces(_COMMAND_BLANK.sub(r"\1", text))
    return text.replace(",", "").replace(" ", "") if _THOUSANDS.fullmatch(text) else text


def normalise(answer: str) -> str:
    """The normal form of an answer, without its unit."""
    return compact(units.split(spelled(answer))[0])


def sides(text: str) -> tuple[str, str]:
    """(left side, right side) of a normal form `x=5` or `5=x` with a single name; ("", text) of all others."""
    if match := _LEFT_SIDE.fullmatch(text):
        return match[1], match[2]
    match = _RIGHT_NAME.fullmatch(text)
    return (match[2], match[1]) if match else ("", text)


def base(text: str) -> tuple[str, int] | None:
    """(digits, base) of a numeral with a base, `52_8`; None for everything else."""
    match = _SUBSCRIPT.fullmatch(text)
    if match is None or not any(char.isdigit() for char in match[1]):
        return None
    digits, of = match[1].upper(), _BASES.get(match[2]) or int(match[2])
    return (digits, of) if 2 <= of <= 36 and all(int(char, 36) < of for char in digits) else None
