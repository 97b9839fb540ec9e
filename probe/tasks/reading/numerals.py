r"""Which number does a normal form spell? Exact rationals; no float is involved.

    12  -1.5  .5  1e-5  1.6\times10^{-19}  3/4  1:2  \frac{3}{4}  1\frac{1}{2}  0.1\overline{6}  0.333...  forty-two
    and what `probe.tasks.arithmetic` works out: 2^{10}, 10!, \binom{5}{2}, \frac{3+1}{2}

A repeating decimal written with dots needs two whole periods. `noisy` numbers have the 15 digits and more that floating
point prints. Left out: every number that is not rational.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from probe.tasks.arithmetic import read

_PLAIN = re.compile(r"([-+]?)(\d{1,1000}(?:\.\d{0,1000})?|\.\d{1,1000})(?:[eE]([-+]?\d{1,3}))?")
_FRACTION = re.compile(r"([-+]?)(\d{0,9})\\frac\{([^{}]*)\}\{([^{}]*)\}")
_POWER_OF_TEN = re.compile(
    r"([-+]?)(?:(\d{1,100}(?:\.\d{0,100})?|\.\d{1,100})(?:\\times|\\cdot|\*|x))?10\^\{?\(?([-+]?\d{1,3})\)?\}?"
)
_OVERLINED = re.compile(r"([-+]?)(\d{0,100})\.(\d{0,100})\\(?:overline|bar|dot)\{?(\d{1,50})\}?")
_GOING_ON = re.compile(r"([-+]?)(\d{0,100})\.(\d{2,100})(?:\.\.\.|\\l?dots|\\cdots)")
_RATIO = re.compile(r"(\d{1,9}):(\d{1,9})")
_ORDINAL = re.compile(r"(\d{1,18})(?:\^?\{?)(?:st|nd|rd|th)\}?")
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = dict(zip((*_ONES, *_TENS), (*range(20), *range(20, 100, 10)), strict=True))
_ORDINAL_WORDS = (
    *("zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"),
    *("eleventh", "twelfth"),
)
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_SPOKEN = re.compile("|".join(("and", *_WORDS, *_SCALES)))
PRINTED_DIGITS = 15


@dataclass(frozen=True)
class Number:
    """An exact value; `places` counts the decimals it was written with (0 for integers and fractions)."""

    value: Fraction
    places: int = 0
    noisy: bool = False


def number(text: str) -> Number | None:
    """The rational a normal form spells, or None."""
    for reader in (_plain, _fraction, _power_of_ten, _repeating, _ordinal, _worded):
        if (found := reader(text)) is not None:
            return found
    value = read(text) if any(char.isdigit() for char in text) else None
    return None if value is None or text.isalnum() else Number(value.exact)


def _plain(text: str) -> Number | None:
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    digits, exponent = match[2], int(match[3] or 0)
    decimals = len(digits.partition(".")[2])
    value = Fraction(match[1] + digits.rstrip(".")) * Fraction(10) ** exponent
    noisy = decimals > 0 and len(digits.replace(".", "").lstrip("0")) >= PRINTED_DIGITS
    return Number(value, max(0, decimals - exponent), noisy)


def _fraction(text: str) -> Number | None:
    match = _FRACTION.fullmatch(text)
    if match is None and text.count("/") != 1:
        return None
    sign, whole, top, bottom = match.groups() if match else ("", "", *text.split("/"))
    above, below = _plain(top.strip("()")), _plain(bottom.strip("()"))
    if above is None or below is None or below.value == 0 or above.places or below.places:
        return None
    return Number((-1 if sign == "-" else 1) * (int(whole or 0) + above.value / below.value))


def _power_of_ten(text: str) -> Number | None:
    match = _POWER_OF_TEN.fullmatch(text)
    if match is None:
        return None
    value = Fraction((match[2] or "1").rstrip(".")) * Fraction(10) ** int(match[3])
    decimals = len((match[2] or "").partition(".")[2]) - int(match[3])
    return Number(-value if match[1] == "-" else value, max(0, decimals))


def _repeating(text: str) -> Number | None:
    if match := _OVERLINED.fullmatch(text):
        whole, fixed, period = match[2], match[3], match[4]
    elif match := _GOING_ON.fullmatch(text):
        whole, (fixed, period) = match[2], _period(match[3])
    else:
        return None
    if not period:
        return None
    value = Fraction(int(whole + fixed or "0")) + Fraction(int(period), 10 ** len(period) - 1)
    return Number((-1 if match[1] == "-" else 1) * value / 10 ** len(fixed))


def _period(digits: str) -> tuple[str, str]:
    """(digits before, period) of the shortest period that ends the digits twice; ("", "") without one."""
    for length in range(1, len(digits) // 2 + 1):
        if digits[-length:] == digits[-2 * length : -length]:
            before = len(digits) - 2 * length
            while before and digits[before - 1] == digits[before - 1 + length]:
                before -= 1
            return digits[:before], digits[before : before + length]
    return "", ""


def _ordinal(text: str) -> Number | None:
    if (ratio := _RATIO.fullmatch(text)) is not None and int(ratio[2]):
        return Number(Fraction(int(ratio[1]), int(ratio[2])))
    match = _ORDINAL.fullmatch(text)
    if match:
        return Number(Fraction(int(match[1])))
    return Number(Fraction(_ORDINAL_WORDS.index(text.lower()))) if text.lower() in _ORDINAL_WORDS else None


def _worded(text: str) -> Number | None:
    """twenty-one, one hundred and twenty, three thousand."""
    words = text.lower().replace("-", " ").split()
    if not words or len(words) > 12 or words[0] == "and" or not all(_SPOKEN.fullmatch(word) for word in words):
        return None
    total = group = 0
    for word in words:
        if word in _WORDS:
            if group % 10 or (group % 100 and _WORDS[word] > 9):
                return None
            group += _WORDS[word]
        elif word == "hundred":
            group = max(group, 1) * 100
        elif word != "and":
            total, group = total + max(group, 1) * _SCALES[word], 0
    return Number(Fraction(total + group))
