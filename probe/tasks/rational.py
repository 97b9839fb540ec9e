"""Exact operations on fractions that are judged by their size before they are carried out."""

import math
from fractions import Fraction

MAX_BITS, MAX_DIGITS = 4096, 100
MAX_FACTORIAL, MAX_ROOT = 300, 12


class Unreadable(Exception):
    """This is no arithmetic, or more than is worked out."""


def within(value: Fraction) -> Fraction:
    """The value, of a size that can be gone on with."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise Unreadable
    return value


def number(said: str) -> Fraction:
    """A numeral with its commas and braces; Unreadable where it is too long."""
    digits = said.replace(",", "").replace("{", "").replace("}", "").replace("\\!", "")
    if len(digits) > MAX_DIGITS:
        raise Unreadable
    return Fraction(digits)


def power(base: Fraction, exponent: Fraction) -> Fraction:
    """The rational power; Unreadable where there is none, or it is too large."""
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(exponent.numerator) * max(bits - 1, 0) > MAX_BITS or exponent.denominator > MAX_ROOT:
        raise Unreadable
    if exponent.denominator > 1:
        if base < 0:
            raise Unreadable
        base = root(base, exponent.denominator)
    if base == 0 and exponent <= 0:
        raise Unreadable
    return Fraction(base**exponent.numerator)


def factorial(value: Fraction) -> Fraction:
    """Of a whole number of moderate size; else Unreadable."""
    if value.denominator != 1 or not 0 <= value <= MAX_FACTORIAL:
        raise Unreadable
    return Fraction(math.factorial(int(value)))


def binomial(n: Fraction, k: Fraction) -> Fraction:
    """n over k, of whole numbers of moderate size; else Unreadable."""
    if n.denominator != 1 or k.denominator != 1 or not 0 <= k <= n <= MAX_BITS:
        raise Unreadable
    return Fraction(math.comb(int(n), int(k)))


def root(value: Fraction, index: int) -> Fraction:
    """The rational root; there is none of 2."""
    if not 2 <= index <= MAX_ROOT or (value < 0 and index % 2 == 0):
        raise Unreadable
    sign = -1 if value < 0 else 1
    return Fraction(sign * _integer_root(abs(value.numerator), index), _integer_root(value.denominator, index))


def _integer_root(n: int, index: int) -> int:
    low, high = 0, 1 << (n.bit_length() // index + 1)
    while low < high:  # the smallest integer whose power is not below n
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**index < n else (low, middle)
    if low**index != n:
        raise Unreadable
    return low
