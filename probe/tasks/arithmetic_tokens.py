r"""Which marks of a text are arithmetic? One pass over plain text, LaTeX, markdown and GSM8K's notes <<48/2=24>>.

    num op open close frac root binom fact percent   what an expression is made of
    eq rel                                           = and the relations that are not checked (<, \approx, \equiv)
    word edge                                        where an expression may begin or end: words, stops, lines
    block                                            what it may not touch: variables, functions, subscripts, ranges
    void                                             mod: nothing in this run of tokens is an equality of numbers

Delimiters of formulas, currency, degrees, spacing, bold type, \boxed, \left are passed over. Whatever is not known is a
`block`: a text that is not understood gives fewer equations, never wrong ones. Time is linear in the text (no pattern
can go back over what it has read). Left out: numbers in words, units as factors, numerals in other bases.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

VALUES = frozenset({"num", "op", "open", "close", "frac", "digits", "root", "binom", "fact", "percent"})
_PARTS = r"""
(?P<void>\\(?:p|b)?mod(?![A-Za-z])|(?<![A-Za-z])mod(?:ulo)?(?![A-Za-z]))
|(?P<picture>\[asy\](?:[^\[]|\[(?!/?asy\]))*+(?:\[/asy\])?)
|(?P<note><<[^<>\n]*+>>)
|(?P<row>(?:(?<![\s&])[\s&]++)?+\\\\(?!\])(?:\[-?[0-9.]*(?:em|ex|pt|mm|cm)\])?[\s&]*+)
|(?P<line>[ \t\r]*+\n\s*+(?:(?P<mark>[-*+\u2022]|\(?[0-9]{1,2}[.)])[ \t]+)?)
|(?P<degree>\^\s?\{\s?\\(?:circ|degree)\s?\}|\^?\s?\\(?:circ|degree)(?![A-Za-z])|\u00b0)
|(?P<num>
    [0-9]{1,3}(?:(?:,|\{,\}|,\\!)[0-9]{3}){1,20}(?![0-9])(?:\.[0-9]+)?
    |[0-9]++(?:\.[0-9]++)?(?:[eE][-+]?[0-9]{1,3}(?![\w.]))?|(?<![\w)\]}])\.[0-9]++)
|(?P<digits>\\[dtc]?frac\s?[0-9]\s?[0-9])
|(?P<frac>\\[dtc]?frac\s?[0-9]?(?=\s?\{))
|(?P<root>\\sqrt(?![A-Za-z])\s?(?:\[\s?[0-9]{1,2}\s?\])?|\u221a|(?<![A-Za-z.])(?:math\.)?sqrt(?=\s?\())
|(?P<binom>\\[dt]?binom(?=\s?\{))
|(?P<text>\\(?:text(?:bf|it|rm|sf)?|mbox|hbox|mathrm|operatorname)\s?\{(?P<said>[^{}]*+)\})
|(?P<arrow>=>|->|[\u2192\u21d2\u27f9\u2234]|\\(?:to|implies|iff|therefore|[Rr]ightarrow|[Ll]ongrightarrow
    |Longrightarrow|Leftrightarrow)(?![A-Za-z]))
|(?P<times>(?:(?<=[0-9)%\]}])|(?<=[0-9)%\]}][ ]))(?<!\b0)[xX](?=[ ]?\\?\$?[0-9.]|[ ]\()
    |\\(?:times|cdot|ast)(?![A-Za-z])|[\u00d7\u00b7\u22c5\u2217])
|(?P<power>(?<=[\w)\]}])\*\*(?=[\w(\[{-])|(?<=[\w)\]}]\s)\*\*(?=\s)|\^)
|(?P<over>\\div(?![A-Za-z])|[\u00f7\u2215]|(?<!/)/(?!/))
|(?P<super>[\u00b2\u00b3])
|(?P<percent>\\?%|(?<=[0-9][ ])per[ ]?cent(?![A-Za-z]))
|(?P<skip>(?:[^\S\n]|[&`])++|\\[,;:!>\ ()]|\\?\$|[\u20ac\u00a3\u00a5]|~(?![0-9])|\*\*
    |\\(?:left|right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|boxed|fbox|mathbf|boldsymbol|bf)(?![A-Za-z]))
|(?P<fact>(?<=[0-9)}])!(?=[ ]*(?:[-+*/=)}\]^$\\,;.:]|\Z)|[ ][a-z]))
|(?P<comparison>==++|!=|:=|[-+*/]=)
|(?P<rel><=?|>=?|[\u2264\u2265\u2260\u2248\u2261]|\\(?:leq?|geq?|lt|gt|neq?|approx|equiv|sim|simeq)(?![A-Za-z]))
|(?P<eq>=)
|(?P<minus>[-\u2212]|(?<=\s)\u2013(?=\s))
|(?P<plus>\+)
|(?P<star>\*(?!\*))
|(?P<open>[(\[{])
|(?P<close>[)\]}])
|(?P<dots>\.\.++|\.(?=\(|\\(?:overline|underline|bar|d?dot|hat|[lc]?dots)(?![A-Za-z]))|\u2026|(?<=[0-9]):(?=[0-9])|(?<=[0-9]\s):(?=\s?[0-9])|,(?=[0-9])|\?)
|(?P<stop>[.,;:!"\u201c\u201d\#\u2014]|\\[\[\]]|\\q?quad(?![A-Za-z])
    |\\(?:begin|end)\{(?:align|equation|gather|multline|split|aligned)\*?\})
|(?P<word>[^\W\d_]++(?:['\u2019][^\W\d_]++)*+)
|(?P<other>\\[A-Za-z]++|_\{[^{}]*+\}|.)
"""
_TOKEN = re.compile(_PARTS, re.VERBOSE | re.DOTALL)
_SIGNS = {"times": "*", "star": "*", "power": "^", "over": "/", "minus": "-", "plus": "+"}
_KINDS = {"picture": "edge", "arrow": "edge", "stop": "edge", "comparison": "block", "dots": "block", "other": "block"}
_PASSED_OVER = frozenset({"skip", "note", "degree"})

# Words that carry a sum on: what stands beside them is a part of it.
_CARRY_ON = re.compile(
    "than|by|times|plus|minus|over|twice|thrice|double|half|halves|thirds?|quarters?|divided|multiplied|squared|cubed"
    "|more|less|hundred|thousand|[mbtr]illion|dozen|remainder|rem|choose|point|base|binary|sin|cos|tan|cot|sec|csc"
    "|arc(?:sin|cos|tan)|log|ln|lg|exp|lim|max|min|gcd|lcm|pi|phi|floor|ceil|abs|not"
)
_SHORT = re.compile(  # other words of two letters are names of segments
    "am|an|as|at|be|by|do|ft|he|if|in|is|it|km|kg|lb|cm|mm|mg|ml|me|my|no|of|oh|ok|on|or|oz|so|to|up|us|we"
)
_UNITS = re.compile("cm|mm|km|kg|mg|ml|ft|lbs?|oz|hrs?|mins?|sec|am|pm|mph|miles|dollars|cents")
_PART_OF = re.compile(
    r"(?:half|thirds?|quarters?|fourths?|fifths?|sixths?|eighths?|tenths?|percent|root|squares?|cubes?|times|[0-9%$}])\s*\Z"
)
_TWO_LETTERS = re.compile(r"\s[^\W\d_]{2}")
_LETTERS = re.compile(r"[^\W\d_]+")
_FRACTION_FOLLOWS = re.compile(r"\s*(?:a |\$?\\?[dtc]?frac|[0-9]+\s?/)")


class Token(NamedTuple):
    """One mark: its kind, what it says, and where it stands."""

    kind: str
    said: str
    start: int
    end: int


def tokens(text: str) -> Iterator[Token]:
    """The marks of a text in order, without those that are passed over."""
    last, marked = Token("edge", "", 0, 0), False
    for match in _TOKEN.finditer(text):
        name, said = match.lastgroup or "other", match.group()
        if name in _PASSED_OVER or (name in ("row", "line") and _goes_on(text, match, name, last)):
            continue
        kind, said = _kind(text, match, name, said)
        if name == "line":
            kind = "block" if last.kind in VALUES and match["mark"] in ("-", "+") and not marked else "edge"
            marked = match["mark"] is not None
        last = Token(kind, said, match.start(), match.end())
        yield last
        if name == "super":
            yield Token("num", "2" if match.group() == "\u00b2" else "3", match.end(), match.end())


def _kind(text: str, match: re.Match[str], name: str, said: str) -> tuple[str, str]:
    if name in _SIGNS:
        return "op", _SIGNS[name]
    if name == "super":
        return "op", "^"
    if name == "word":
        return _word(text, match), said
    if name == "text":
        return _label(match["said"]), said
    return _KINDS.get(name, "edge" if name in ("row", "line") else name), said


def _goes_on(text: str, match: re.Match[str], name: str, last: Token) -> bool:
    """Whether a sum runs on over the end of a line: before it or after it stands a sign that wants two sides."""
    following = text[match.end() : match.end() + 6].lstrip("& ")
    if match["mark"] is None and (following.startswith("=") and not following.startswith(("==", "=>"))):
        return True
    if last.kind in ("op", "eq"):
        return match["mark"] is None
    return name == "row" and following.startswith(("+", "-", "*", "/", "\\times", "\\cdot", "\\div"))


def _word(text: str, match: re.Match[str]) -> str:
    word, start, end = match.group().lower(), match.start(), match.end()
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    if before.isdigit() or before in (")", "}", "]", "_", "\\"):
        return "word" if _UNITS.fullmatch(word) else "block"
    if after.isdigit() or after in ("(", "_", "^", "["):
        return "block"
    if len(word) == 1:
        return "word" if word in "ai" and _TWO_LETTERS.match(text, end) else "block"
    if word == "of" and _PART_OF.search(text[max(0, start - 12) : start]):
        return "block"
    if word == "and" and _FRACTION_FOLLOWS.match(text, end):
        return "block"
    carries_on = _CARRY_ON.fullmatch(word) or (len(word) == 2 and not _SHORT.fullmatch(word))
    return "block" if carries_on else "word"


def _label(said: str) -> str:
    r"""What \text{...} is: a unit or a remark may end an expression, a name may not."""
    words = _LETTERS.findall(said.lower())
    if "mod" in words or "modulo" in words:
        return "void"
    carries = not words or any(len(word) == 1 or _CARRY_ON.fullmatch(word) for word in words)
    return "block" if carries or any(char in said for char in "_^=0123456789") else "word"
