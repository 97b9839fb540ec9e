r"""Is an answer a word, a choice, a time of day, or that there is none?

nothing   \emptyset  \{\}  no solution  does not exist  DNE  undefined: one value
choice    E  (E)  E) Hyperbola  \text{(E) Hyperbola}  option E
clock     10:45 a.m.  6 PM  18:00, in minutes; without a.m. or p.m. the half of the day is not known
word      \text{Evelyn}, a plain word of four letters or more
"""

import re

_TEXT = re.compile(r"\\text\s?\{([^{}]*)\}")
_NOTHING = re.compile(
    r"\\(?:emptyset|varnothing)|\\?\{\s?\\?\}|(?:there (?:is|are) )?no(?: such)?(?: real| integer| valid)?"
    r"(?: (?:solutions?|answers?|values?|roots?)(?: exists?)?)|none|(?:it |the limit )?does not exist|dne|undefined",
    re.IGNORECASE,
)
_CHOICE = re.compile(
    r"(?:option |choice |answer )?(?:\(([A-J])\)|([A-J])\)|([A-J])(?=[.:] |[.:]?\Z))[.:]?(?:[\sA-Z].*)?",
    re.IGNORECASE | re.DOTALL,
)
_GOLD_CHOICE = re.compile(r"[A-J]|\([A-J]\)")
_CLOCK = re.compile(r"(\d{1,2})(?: ?: ?(\d{2}))? ?(?:([ap])\.? ?m\b\.?)?", re.IGNORECASE)
_CLOCK_DRESS = str.maketrans("\\~{}", "    ")
_PLAIN_WORD = re.compile(r"[A-Za-z][a-z]{3,}(?: [A-Za-z]+)*")
_IN_BRACKETS = re.compile(r"\((\w)\)")


def unwrapped(text: str) -> str:
    r"""The text with \text{...} replaced by what is in it."""
    return _TEXT.sub(r"\1", text)


def is_nothing(text: str) -> bool:
    """Whether an answer says that there is none."""
    return _NOTHING.fullmatch(unwrapped(text).strip()) is not None


def choice(text: str) -> str | None:
    """The letter of a multiple choice, with or without its text; None for everything else."""
    found = _CHOICE.fullmatch(unwrapped(text).replace("\\ ", " ").replace("{", "").replace("}", "").strip())
    return (found[1] or found[2] or found[3]).upper() if found else None


def is_choice(gold: str) -> bool:
    """Whether a gold answer is the letter of a choice alone."""
    return _GOLD_CHOICE.fullmatch(unwrapped(gold).strip()) is not None


def clock(text: str) -> tuple[int, str] | None:
    """(minutes after midnight or noon, "a", "p" or ""): a time of day; None where there are no minutes and no half."""
    found = _CLOCK.fullmatch(" ".join(unwrapped(text).translate(_CLOCK_DRESS).split()))
    if found is None or not (found[2] or found[3]) or int(found[1]) > 24 or int(found[2] or 0) > 59:
        return None
    hour, half = int(found[1]), (found[3] or "").lower()
    if hour > 12:
        half = "p"
    return hour % 12 * 60 + int(found[2] or 0), half


def is_word(text: str) -> bool:
    r"""Whether an answer is text, not mathematics: \text{...} with letters in it, or a plain word."""
    whole = _TEXT.fullmatch(text)
    return bool((whole and any(char.isalpha() for char in whole[1])) or _PLAIN_WORD.fullmatch(text))


def word(text: str) -> str:
    """What two text answers are compared on: lower case, single blanks, without the parentheses of "(C)"."""
    return _IN_BRACKETS.sub(r"\1", " ".join(unwrapped(text).strip(" .\"'").split())).lower()
