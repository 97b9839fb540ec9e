r"""Which part of the real line is an answer? (2,5), 2<x<5, \{x \mid 2<x<5\} and x\in(2,5) are one, [2,5] another.

A region is a list of pieces (low, low is closed, high, high is closed), ends in the spelling they have; unions by \cup
and "or". Left out: intersections, regions of the plane, pieces that touch (they are not merged).
"""

import re
from typing import NamedTuple

LOWEST, HIGHEST = "-\\infty", "\\infty"
_NAME = r"(?:[A-Za-z]|\\(?:theta|alpha|beta|lambda))"
_MEMBER = re.compile(rf"{_NAME} ?\\in(?![A-Za-z])")
_BUILDER = re.compile(rf"\\\{{{_NAME} ?(?:\\in ?\\mathbb\{{?R\}}?)? ?(?:\\mid|\\colon|:|\|)(.*)\\\}}", re.DOTALL)
_OR = re.compile(r"\\cup|\\lor| ?(?:\\text\{ ?or ?\}|(?<![A-Za-z])or(?![A-Za-z])) ?")
_REALS = re.compile(r"\\mathbb\{?R\}?|R|(?:the set of )?all real(?:s| numbers)|all reals")
_SIGN = re.compile(r"(\\leq|\\geq|\\neq|<=|>=|<|>)")
_ONE_NAME = re.compile(_NAME)


class Piece(NamedTuple):
    """An interval."""

    low: str
    low_closed: bool
    high: str
    high_closed: bool


def region(form: str) -> tuple[list[Piece], bool] | None:
    """(pieces, whether it can be nothing but a region: (1,2) may be a point) of a normal form; None for all others."""
    if _REALS.fullmatch(form):
        return [Piece(LOWEST, False, HIGHEST, False)], True
    sure = False
    if (member := _MEMBER.match(form)) is not None:
        form, sure = form[member.end() :].strip(), True
    elif (builder := _BUILDER.fullmatch(form)) is not None:
        form, sure = builder[1].strip(), True
    if _REALS.fullmatch(form):
        return [Piece(LOWEST, False, HIGHEST, False)], True
    pieces: list[Piece] = []
    for part in (parts := _OR.split(form)):
        found = _interval(part.strip()) or _inequality(part.strip())
        if not found:
            return None
        pieces += found
    sure = (
        sure
        or len(parts) > 1
        or bool(_SIGN.search(form))
        or "infty" in form
        or form[0] + form[-1] in ("[)", "(]", "][")
    )
    return pieces, sure


def _interval(part: str) -> list[Piece] | None:
    if len(part) < 5 or part[0] not in "([]" or part[-1] not in ")][":
        return None
    depth = 0
    commas = []
    for at, char in enumerate(part[1:-1], start=1):
        depth += (char in "([{") - (char in ")]}")
        if depth < 0:
            return None
        if char == "," and depth == 0:
            commas.append(at)
    if len(commas) != 1 or depth:
        return None
    low, high = part[1 : commas[0]], part[commas[0] + 1 : -1].replace("+\\infty", HIGHEST)
    return [Piece(low, part[0] == "[", high, part[-1] == "]")] if low and high else None


def _inequality(part: str) -> list[Piece] | None:
    r"""2<x\leq5, x>2, 2\leq x, x\neq3."""
    pieces = _SIGN.split(part)
    if len(pieces) not in (3, 5):
        return None
    terms, signs = [term.strip() for term in pieces[::2]], [_ascii(sign) for sign in pieces[1::2]]
    names = [at for at, term in enumerate(terms) if _ONE_NAME.fullmatch(term)]
    if not all(terms) or names != ([1] if len(terms) == 3 else names[:1]) or not names:
        return None
    if signs == ["!="]:
        end = terms[1 - names[0]]
        return [Piece(LOWEST, False, end, False), Piece(end, False, HIGHEST, False)]
    return _bounds(terms, signs, names[0])


def _bounds(terms: list[str], signs: list[str], name: int) -> list[Piece] | None:
    low, high = (LOWEST, False), (HIGHEST, False)
    if "!=" in signs or len({sign[0] for sign in signs}) > 1:
        return None
    for at, sign in enumerate(signs):
        value_is_left = at < name
        end = (terms[at] if value_is_left else terms[at + 1], sign.endswith("="))
        if (sign[0] == "<") == value_is_left:
            low = end
        else:
            high = end
    return [Piece(*low, *high)]


def _ascii(sign: str) -> str:
    return {"\\leq": "<=", "\\geq": ">=", "\\neq": "!="}.get(sign, sign)
