r"""What does a piece of arithmetic come to? An evaluator of numbers, exact, and never of code.

    + - * / ^ ** x \times \cdot \div   \frac{a}{b} \frac12 1\frac{1}{2} 1 1/2   2(3+4)   n!  \binom{n}{k}  \sqrt{9}  20%

`read` gives a Fraction with how it was come by, or None for whatever is no arithmetic, has no rational value (\sqrt{2},
1/0), or is larger than anybody writes: numbers past 4,096 bits, 400 marks or 60 levels of parentheses. Nothing is
handed to `eval`, no name is looked up, and a power is judged by its size before it is taken, so `9^{9^{9^9}}`,
`10000000!` and ten thousand parentheses end at once.

Choices: -3^2 is -9; a^b^c is a^(b^c); an integer before a proper fraction is a mixed number; 6/2(1+2) has two readings
and so no value; 20% is 1/5.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from probe.tasks.arithmetic_tokens import VALUES, Token, tokens
from probe.tasks.rational import Unreadable, binomial, factorial, number, power, root, within

MAX_CHARS, MAX_TOKENS, MAX_DEPTH = 4000, 400, 60
PERCENT = Fraction(1, 100)
_CLOSES = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Value:
    """What an expression comes to, with how many operations; `places` decimals are shown by one without any.

    `printed`: a number in it has the 15 digits and more that floating point prints (14.999999999999998).
    """

    exact: Fraction
    operations: int
    places: int | None = None
    printed: bool = False


@lru_cache(maxsize=1 << 12)
def read(text: str, percent: Fraction = PERCENT) -> Value | None:
    """The value of one expression, % being `percent`; None where there is none."""
    if len(text) > MAX_CHARS:
        return None
    marks = list(tokens(text))
    if not marks or len(marks) > MAX_TOKENS or any(mark.kind not in VALUES for mark in marks):
        return None
    parser = _Parser(marks, text, percent)
    try:
        exact = parser.sum()
        if parser.at < len(marks):
            return None
    except (Unreadable, ZeroDivisionError):
        return None
    return Value(exact, parser.operations, _places(marks, percent), any(_is_printed(mark) for mark in marks))


def _places(marks: list[Token], percent: Fraction) -> int | None:
    """How many decimals a bare number shows (a share in per cent two more); None for anything else."""
    bare = [mark for mark in marks if mark.kind not in ("open", "close") and (mark.kind, mark.said) != ("op", "-")]
    if [mark.kind for mark in bare] not in (["num"], ["num", "percent"]):
        return None
    return len(bare[0].said.partition(".")[2]) + (2 if len(bare) == 2 and percent != 1 else 0)


def _is_printed(mark: Token) -> bool:
    return mark.kind == "num" and "." in mark.said and len(mark.said.replace(".", "").lstrip("0")) >= 15


class _Parser:
    """Recursive descent over the marks of one expression; `at` is the next one."""

    def __init__(self, marks: list[Token], text: str, percent: Fraction) -> None:
        self.marks, self.text, self.percent = marks, text, percent
        self.at, self.depth, self.operations = 0, 0, 0

    def sum(self) -> Fraction:
        """term, + term, - term ..."""
        total = self.product()
        while (sign := self.sign("+-")) is not None:
            other = self.product()
            total = self.done(total + other if sign == "+" else total - other)
        return total

    def product(self) -> Fraction:
        """signed, * signed, / signed, and factors set side by side."""
        total, divided = self.signed(), False
        while True:
            sign = self.sign("*/")
            if sign is None and self.kind() not in ("open", "frac", "digits", "root", "binom"):
                return total
            if sign is None and (divided or self.marks[self.at].said == "{"):
                raise Unreadable
            divided = divided or sign == "/"
            other = self.signed() if sign else self.power()
            total = self.done(total / other if sign == "/" else total * other)

    def signed(self) -> Fraction:
        """Any signs before a power."""
        negative = False
        while (sign := self.sign("+-")) is not None:
            negative ^= sign == "-"
        value = self.power()
        return -value if negative else value

    def power(self) -> Fraction:
        """base ^ exponent, from the right."""
        base = self.marked()
        if self.sign("^") is None:
            return base
        self.deeper()
        exponent = self.signed()
        self.depth -= 1
        return self.done(power(base, exponent))

    def marked(self) -> Fraction:
        """A part with ! or % after it."""
        value = self.part()
        while (kind := self.kind()) in ("fact", "percent"):
            self.at += 1
            value = self.done(factorial(value)) if kind == "fact" else value * self.percent
        return value

    def part(self) -> Fraction:
        """A number, a group, a fraction, a root, a binomial."""
        mark = self.take()
        if mark.kind == "num":
            return self.mixed(number(mark.said))
        if mark.kind == "open":
            return self.group(mark)
        if mark.kind == "digits":
            above, below = (Fraction(char) for char in mark.said if char.isdecimal())
            return self.done(above / below)
        if mark.kind == "frac":
            above = number(mark.said[-1]) if mark.said[-1].isdecimal() else self.argument()
            return self.done(above / self.argument())
        if mark.kind == "root":
            index = int("".join(filter(str.isdecimal, mark.said)) or 2)
            return self.done(root(self.argument(), index))
        if mark.kind == "binom":
            return self.done(binomial(self.argument(), self.argument()))
        raise Unreadable

    def argument(self) -> Fraction:
        """A group or a number after a command."""
        mark = self.take()
        if mark.kind == "num":
            return number(mark.said)
        if mark.kind != "open":
            raise Unreadable
        return self.group(mark)

    def group(self, opening: Token) -> Fraction:
        """What stands in parentheses."""
        self.deeper()
        value = self.sum()
        self.depth -= 1
        if self.take().said != _CLOSES[opening.said]:
            raise Unreadable
        return value

    def mixed(self, whole: Fraction) -> Fraction:
        r"""The number, and with it a proper fraction of numerals that follows: 1\frac{1}{2}, 1 1/2."""
        here, next_ = self.marks[self.at - 1], self.marks[self.at : self.at + 8]
        if whole.denominator != 1 or "." in here.said or not next_:
            return whole
        kinds, said = [mark.kind for mark in next_], "".join(mark.said for mark in next_)
        if kinds[:3] == ["num", "op", "num"] and said[len(next_[0].said)] == "/":
            above, below, length = next_[0].said, next_[2].said, 3
        elif kinds[0] == "digits":
            (above, below), length = [char for char in said if char.isdecimal()][:2], 1
        elif kinds[:7] == ["frac", "open", "num", "close", "open", "num", "close"]:
            above, below, length = next_[2].said, next_[5].said, 7
        else:
            return whole
        part = number(above) / number(below)
        if not (above.isdecimal() and below.isdecimal() and 0 < part < 1):
            return whole
        self.at += length
        return self.done(whole + part)

    def kind(self) -> str:
        return self.marks[self.at].kind if self.at < len(self.marks) else ""

    def sign(self, signs: str) -> str | None:
        """The next mark, taken, if it is one of these operations."""
        if self.kind() != "op" or self.marks[self.at].said not in signs:
            return None
        return self.take().said

    def take(self) -> Token:
        if self.at >= len(self.marks):
            raise Unreadable
        self.at += 1
        return self.marks[self.at - 1]

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable

    def done(self, value: Fraction) -> Fraction:
        """One operation more, its result of a size that can be gone on with."""
        self.operations += 1
        return within(value)
