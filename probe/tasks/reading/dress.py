r"""What stands around an answer and does not belong to it? **5**, \color{red}{5}, "One answer is 5.", a trailing comma.

    type      \mathbf \underline \color{..} \boxed \large ... , **bold**, quotes, backticks, braces around everything
    ends      blanks, full stops, commas, a line break `\\`
    sentence  "The answer is ...", "the probability is ...", "... is the answer", \text{One such value is } ...

What is said is never touched: \text and \overline stay.
"""

import re

_TYPE = re.compile(
    r"\\(?:(?:text)?color\s{0,3}\{[^{}]*\}|(?:underline|math(?:bf|rm|it|sf|tt)|boldsymbol|bm|boxed|fbox|framebox|rm|bf"
    r"|(?:display|text|script)style|tiny|small|normalsize|large|Large|LARGE|huge|Huge|operatorname|ensuremath|emph)"
    r"(?![A-Za-z])\*?)"
)
_BOLD_TEXT = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt|normal)|mbox|hbox)(?![A-Za-z])")
_DELIMITERS = re.compile(r"(?<!\\)\\[()\[\]]|(?<!\\)\$|\\\$(?=\$)")
_LEAD = re.compile(
    r"(?P<text>\\text\s?\{\s?)?(?:(?:so|thus|hence|therefore|then|and),? )?"
    r"(?:the|one|an?|our|my|its|it|this|final|possible|answer)\b[A-Za-z',\- ]{0,80}?\b(?:is|are|equals)\b\s?:?\s?\}?",
    re.IGNORECASE,
)
_TRAIL = re.compile(
    r" (?:is|are) (?:the|one|an|our|a) (?:final |correct |possible )?(?:answer|solution|value|result)s?$"
)
_ENDS = " \t\r\n.,;:"


def undress(text: str) -> str:
    """The answer alone, of a text that `unicode.plain` has read."""
    bare = _trimmed(_BOLD_TEXT.sub(r"\\text", _TYPE.sub("", _DELIMITERS.sub("", text))))
    lead = _LEAD.match(bare)
    if lead and lead.end() < len(bare):
        rest = bare[lead.end() :]
        bare = rest.removesuffix("}") if lead["text"] and rest.count("}") > rest.count("{") else rest
    return _trimmed(_TRAIL.sub("", bare))


def _trimmed(text: str) -> str:
    """Without ends, marks of emphasis on both sides, and braces around the whole."""
    text = _ended(text)
    if len(text) > 2 and text[0] == text[-1] and text[0] in "*`\"'":
        text = _ended(text.strip("*`\"'"))
    return _ended(without_braces(text))


def _ended(text: str) -> str:
    text = text.strip()
    dots = text.endswith(("...", "\\dots", "\\ldots"))
    return text if dots else text.rstrip(_ENDS + "\\").lstrip(_ENDS[:4] + ",;:")


def without_braces(text: str) -> str:
    """The text without the pairs of braces that hold all of it."""
    opened: list[int] = []
    closes: dict[int, int] = {}
    skip = False
    for at, char in enumerate(text):
        if skip or char == "\\":
            skip = not skip
        elif char == "{":
            opened.append(at)
        elif char == "}" and opened:
            closes[opened.pop()] = at
    depth = 0
    while closes.get(depth) == len(text) - 1 - depth:
        depth += 1
    return text[depth : len(text) - depth]
