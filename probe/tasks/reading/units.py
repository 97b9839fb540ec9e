r"""Which unit ends an answer? 15\,\mathrm{cm}^2, 60 km/h, 5 \text{ hours}, \$18, 30^\circ, 12 bananas, 20 厘米, 50\%.

`split` cuts an answer into the value and its `Unit`: powers of base units with a factor, so that 5 m is 500 cm and not
5 cm; a word that is no unit ("bananas") is a count, known by its nouns. A letter alone counts as a unit only behind a
blank or in \text or \mathrm: 5m may be a product. Left out: units with an offset (degrees Celsius are a name), prefixes
nobody writes in answers.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction

Powers = tuple[tuple[str, int], ...]

_TABLE = """
m 1 m: m meter meters metre metres 米
m 1/100 m: cm centimeter centimeters centimetre centimetres 厘米 公分
m 1/1000 m: mm millimeter millimeters millimetre millimetres 毫米
m 1000 m: km kilometer kilometers kilometre kilometres 千米 公里
inch 1 inch: in inch inches "
inch 12 inch: ft foot feet '
inch 36 inch: yd yard yards
inch 63360 inch: mi mile miles
s 1 s: s sec secs second seconds 秒
s 60 s: min mins minute minutes 分钟
s 3600 s: h hr hrs hour hours 小时 时
s 86400 s: d day days 天 日
s 604800 s: week weeks 周
month 1 month: month months 月 个月
month 12 month: year years yr yrs 年
kg 1 kg: kg kilogram kilograms 千克 公斤
kg 1/1000 kg: g gram grams 克
kg 1/1000000 kg: mg milligram milligrams
lb 1 lb: lb lbs pound pounds
lb 1/16 lb: oz ounce ounces
L 1 L: L l liter liters litre litres 升
L 1/1000 L: mL ml milliliter milliliters 毫升
gallon 1 gallon: gal gallon gallons
gallon 1/4 gallon: quart quarts
gallon 1/8 gallon: pint pints
$ 1 $: dollar dollars usd \\$ us\\$
$ 1/100 $: cent cents ¢
元 1 元: 元 yuan rmb cny
元 1/10 元: 角
€ 1 €: € euro euros eur
£ 1 £: £ gbp
deg 1 deg: deg degree degrees 度
rad 1 rad: rad radian radians
N 1 N: N newton newtons
J 1 J: J joule joules
W 1 W: W watt watts
V 1 V: V volt volts
Hz 1 Hz: Hz hertz
K 1 K: K kelvin
"""
_SPECIAL = {"mph": "mi/h", "kph": "km/h", "kmh": "km/h", "平方米": "m^2", "平方厘米": "cm^2", "立方米": "m^3"}
GENERIC = frozenset(("way", "time", "person", "people", "item", "total", "piece", "number", *"个人只种次"))


@dataclass(frozen=True)
class Unit:
    """Powers of base units and the factor to them; `nouns` of a count that is none of them."""

    powers: Powers = ()
    factor: Fraction = Fraction(1)
    nouns: frozenset[str] = field(default=frozenset())

    @property
    def is_percent(self) -> bool:
        return self.powers == (("%", 1),)

    @property
    def names_nothing(self) -> bool:
        """Whether it is no more than "units"."""
        return not self.powers and not self.nouns


PERCENT = Unit((("%", 1),), Fraction(1, 100))


def _table() -> dict[str, tuple[str, Fraction]]:
    found: dict[str, tuple[str, Fraction]] = {}
    for line in _TABLE.strip().split("\n"):
        head, _, names = line.partition(": ")
        base, factor, _ = head.split()
        found |= {name.replace("\\\\", "\\"): (base, Fraction(factor)) for name in names.split()}
    return found


_UNITS = _table()
_DEGREE = re.compile(r"\^ ?\{? ?\\(?:circ|degree) ?\}?|\\degree(?![A-Za-z])")
_PER_CENT = re.compile(r" ?(?:\\?%|(?:\\text ?\{ ?)?per ?cent\.?(?: ?\})?)")
_FRONT = re.compile(r"(?:\\\$|US\\\$|USD|EUR|RMB|€|£|¥) ?(?=[-\d.\\])")
_FRAC = re.compile(r"\\frac ?\{ ?\{?([^{}\d]{1,20})\}? ?\} ?\{ ?\{?([^{}\d]{1,20})\}? ?((?:\^ ?\{?\d\}?)?) ?\}\Z")
_WRAPPED = re.compile(r"\\text ?|[{}]|\\[,;:! ]|~")
_PIECE = re.compile(
    r" ?(/|per(?![A-Za-z])|\\cdot|\*|(?:square|cubic|sq|cu)\.?(?![A-Za-z]))"
    r"| ?([A-Za-z]+|[\u4e00-\u9fff]+|['\"\u00a2])\.? ?(?:\^ ?(-?[1-9])(?!\d))?"
)
_STARTS = re.compile(r"(?<=[\d})\]])(?: |(?=[A-Za-z\\'\"\u4e00-\u9fff{]))|(?<=\\pi)(?: |(?=\\text))")
TAIL = 60  # characters that a unit may take


def split(text: str) -> tuple[str, Unit | None]:
    """(value, unit) of an answer in plain spelling; the whole text and None where no unit ends it."""
    if (found := _FRONT.match(text)) is not None:
        mark = found[0].strip().lower().replace("¥", "元")
        rest, unit = split(text[found.end() :])
        return rest, Unit(((_UNITS[mark][0], 1),)) if unit is None or unit.nouns else unit
    if found := _ends_with(_PER_CENT, text):
        return text[: found.start()], PERCENT
    if (found := _ends_with(_DEGREE, text)) and text[: found.start()].strip()[-1:] in "0123456789}":
        return text[: found.start()].strip(), Unit((("deg", 1),))
    for start in _STARTS.finditer(text, max(0, len(text) - TAIL)):
        value, tail = text[: start.start()], text[start.end() :]
        if value.count("{") - value.count("\\{") != value.count("}") - value.count("\\}"):
            continue
        unit = read(tail, spaced=bool(start[0]) or "\\text" in tail or tail.startswith("{"))
        if unit is not None:
            return value.strip().removesuffix("\\").strip(), unit
    return text, None


def _ends_with(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next((each for each in pattern.finditer(text, max(0, len(text) - TAIL)) if each.end() == len(text)), None)


def read(tail: str, *, spaced: bool = True) -> Unit | None:
    """The unit that a text spells, or None; `spaced`: a single letter may be one."""
    is_text = "\\text" in tail
    if fraction := _FRAC.match(tail.strip()):
        tail = f"{fraction[1]}/{fraction[2]}{fraction[3]}"
    plain = " ".join(_WRAPPED.sub(" ", tail).replace("^ ", "^").split())
    if not plain:
        return None
    known = _known(_SPECIAL.get(plain, plain))
    if known is not None:
        return known if spaced or len(plain) > 1 or not (plain.isascii() and plain.isalpha()) else None
    return _count(plain, is_text)


def _known(plain: str) -> Unit | None:
    """km/h, square inches, m s^-2: every piece a known unit."""
    powers: dict[str, int] = {}
    factor, sign, power, at, some = Fraction(1), 1, 1, 0, False
    while at < len(plain):
        found = _PIECE.match(plain, at)
        if found is None or found.end() == at:
            return None
        at = found.end()
        if mark := found[1]:
            power = {"sq": 2, "cu": 3}.get(mark[:2], power)
            sign = -1 if mark in ("/", "per") else sign
            continue
        base = _UNITS.get(found[2]) or (_UNITS.get(found[2].lower()) if len(found[2]) > 2 else None)
        if base is None:
            return None
        exponent, some = sign * power * int(found[3] or 1), True
        powers[base[0]] = powers.get(base[0], 0) + exponent
        factor, power = factor * base[1] ** exponent, 1
    return Unit(tuple(sorted((base, n) for base, n in powers.items() if n)), factor) if some else None


def _count(plain: str, is_text: bool) -> Unit | None:
    """Nouns: "bananas", "square units"; letters alone and commands are none."""
    words = plain.replace("^2", "").replace("^3", "").rstrip(".").split()
    if plain.count("^") > 1 or not words or len(words) > 6 or not all(word.strip(",-()").isalpha() for word in words):
        return None
    short = any(word.isascii() and len(word) < 3 for word in words)
    if not is_text and (short or words[0] in ("and", "sqrt", "choose")):
        return None
    nouns = frozenset(_singular(word.strip(",-()").lower()) for word in words) - {"square", "cubic", "of", "the"}
    return Unit(nouns=nouns - {"unit"})


def _singular(noun: str) -> str:
    for ending, instead in (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("s", "")):
        if noun.endswith(ending) and len(noun) > len(ending) + 1 and not noun.endswith("ss"):
            return noun[: -len(ending)] + instead
    return noun


def agree(one: Unit, other: Unit) -> bool:
    """Whether both measure the same thing: equal powers, or counts that share a noun or name none."""
    if one.nouns and other.nouns:
        return bool(one.nouns & other.nouns or (one.nouns | other.nouns) & GENERIC)
    if one.powers and other.powers:
        return one.powers == other.powers
    return one.names_nothing or other.names_nothing
