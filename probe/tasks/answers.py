r"""Which answer does a response give? Extraction, strict and lenient, under different names.

    strict   `boxed`         the last \boxed{...} or \fbox{...} that is complete and not empty; one cut off hides none
             `answer_tag`    the last <answer>...</answer>, and inside it the box or the formula, if there is one
             `minerva`       "The final answer is $...$. I hope it is correct." (2206.14858), the last of them
             `marked`        what stands behind the last #### (GSM8K)
    lenient  `final_number`  the last number written anywhere

Strict extraction is what a format reward pays for (2506.10947 §2): `has_box` is `boxed` finding something, for every
text. Lenient extraction credits an answer given in words, which confounds that reward: it is for data whose answers are
bare numbers (GSM8K's `A: 18`, `#### 18`) and never a fallback of a strict one. Nothing here judges correctness.

`own_turn` is the text that belongs to the response at all: graders and the strategy detector read no further.
Every function takes time linear in the text, whatever is in it (a model can write a million open braces).
Left out: several boxes as a tuple (the last one counts), numbers in words.
"""

import re
from collections.abc import Iterator

STOPS = (
    *("<|endoftext|>", "<|im_end|>", "<|im_start|>", "<|eot_id|>", "</s>", "<eos>", "<|end_of_text|>"),
    *("<|start_header_id|>", "<start_of_turn>", "<end_of_turn>", "<|user|>", "<|assistant|>", "[INST]", "<|end|>"),
)
_TURN = re.compile(r"\n\s{0,3}(?:Human|User|Question|### ?Instruction)\s*+:")

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_BARE = re.compile(r"[^\s{}$\\]+")  # the argument of `\boxed 5`
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)  # \{ and \} are characters, not groups
_INK = re.compile(r"\\[A-Za-z]+|[^\s{}$\\~]+|\\(?!\\(?:boxed|fbox))[^A-Za-z]|[{}]")

_NUMBER = re.compile(
    r"\\[dt]?frac\{-?\d+\}\{\d+\}"  # \frac{3}{4}
    r"|\d{1,9} \d{1,9}/\d{1,9}(?!\d|\.\d)"  # 3 1/2
    r"|(?:\d{1,3}(?:(?:,|\{,\}|\\[,!]|[\u2009\u202f\u00a0 ])\d{3})+(?!\d)|\d+)(?:\.\d+)?"
    r"(?:[eE][-+]?\d{1,3}(?!\w))?(?:/\d+(?!\d|\.\d))?"
    r"|\.\d+",
    re.ASCII,
)
_PLAIN_WORD = re.compile(r"(?<![\\A-Za-z])(?!(?:sqrt|pi|sin|cos|tan|log|ln|or|and)(?![A-Za-z]))[A-Za-z]{2,}")
_COUNTED = re.compile(r"\$?-?[\d,./]+(?: [A-Za-z]+)+\.?")  # "16/27 gallons"
_FORMULA = re.compile(r"\$([^$]+)\$|\\\(((?:[^\\]|\\(?![()]))+)\\\)")
_SUBTRACTS = re.compile(r"(?:[\w)}\]%]|[\d)}\]%]\s{1,8})-$")  # `7 - 3`, `10-12`
_SEPARATORS = re.compile(r"[,{}\\!\s]")
_MIXED = re.compile(r"\d+ \d+/\d+", re.ASCII)
_FINAL = "inal answer is"
_HOPE = re.compile(r"\.?\s{0,9}I hope it is correct")
_WINDOW = 4096


def own_turn(text: str) -> str:
    """The text before the first end-of-text marker, chat marker or new turn ("Human:"): what follows is run-on."""
    end = min((at for stop in STOPS if (at := text.find(stop)) >= 0), default=len(text))
    turn = _TURN.search(text, 1, end)
    return text[: turn.start() if turn else end]


def boxed(text: str) -> str | None:
    r"""The content of the last complete \boxed{...} or \fbox{...} that is not empty, stripped; None without one.

    The last is the one that starts last. `\boxed 5` counts if its argument holds a digit or is one letter, so that
    "the \boxed notation" does not. What is empty: blanks, braces, dollars, empty boxes.
    """
    start = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    if start < 0:
        return None
    found = _at(text, start)
    return found if found is not None else max(boxes(text), default=(-1, None))[1]


def has_box(text: str) -> bool:
    r"""Whether `boxed` finds an answer: the format reward of 2506.10947."""
    return boxed(text) is not None


def _at(text: str, start: int) -> str | None:
    """The answer in the box that starts here."""
    match = _BOX.match(text, start)
    if match is None:
        return None
    if text[match.end() : match.end() + 1] != "{":
        return _bare(text, match.end())
    close = _closing_brace(text, match.end())
    content = "" if close is None else text[match.end() + 1 : close].strip()
    return content if any(_is_ink(each.group()) for each in _INK.finditer(content)) else None


def _is_ink(token: str) -> bool:
    return token not in ("\\boxed", "\\fbox", "{", "}")


def boxes(text: str) -> Iterator[tuple[int, str]]:
    """(start, answer) of every complete box that is not empty, in the order they end; one pass."""
    ink, open_groups = 0, []  # per open group: (ink before it, start of its box) if it is a box, else None
    box, box_end = -1, -1
    for match in _INK.finditer(text):
        token = match.group()
        if token in ("\\boxed", "\\fbox"):
            box, box_end = match.start(), _BOX.match(text, match.start()).end()  # type: ignore[union-attr]  # it matched
            if (word := _bare(text, box_end)) is not None:
                yield box, word
        elif token == "{":
            open_groups.append((ink, box, match.end()) if match.start() == box_end else None)
        elif token == "}":
            opened = open_groups.pop() if open_groups else None
            if opened is not None and ink > opened[0]:
                yield opened[1], text[opened[2] : match.start()].strip()
        else:
            ink += 1


def _bare(text: str, at: int) -> str | None:
    match = _BARE.match(text, at)
    word = match.group().rstrip(".,;:") if match else ""
    is_answer = any(c.isdigit() for c in word) or (len(word) == 1 and word.isalpha())
    return word if is_answer else None


def _closing_brace(text: str, opening: int) -> int | None:
    """Index of the brace that closes the one at `opening`, or None."""
    depth = 0
    for match in _BRACE.finditer(text, opening):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth == 0:
            return match.start()
    return None


def answer_tag(text: str) -> str | None:
    """The answer inside the last complete <answer>...</answer>; None without one or if it is empty.

    Inside: the box if there is one; of a sentence, or a number with words after it, the formula between dollars or
    \\( \\) or the number that comes last ("Chris is currently 10 years old."); the whole content otherwise.
    """
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, max(end, 0))
    if start < 0:
        return None
    content = text[start + len("<answer>") : text.find("</answer>", start)].strip()
    if "\\boxed" in content or "\\fbox" in content:
        return boxed(content)
    if len(_PLAIN_WORD.findall(content)) >= 3 or _COUNTED.fullmatch(content):
        return _last_said(content) or content
    return content or None


def minerva(text: str) -> str | None:
    """The answer behind the last "final answer is", up to "I hope it is correct" or the end of its line."""
    at = text.rfind(_FINAL)
    if at < 0:
        return None
    rest = text[at + len(_FINAL) :].lstrip(" :")
    hope = _HOPE.search(rest)
    said = rest[: hope.start()] if hope else rest.partition("\n")[0]
    formula = _FORMULA.fullmatch(said.strip().rstrip("."))
    answer = (formula[1] or formula[2]) if formula else said
    return answer.strip().rstrip(".").strip() or None


def marked(text: str) -> str | None:
    """What stands on the line behind the last ####, where a GSM8K solution has its answer."""
    _, mark, rest = text.rpartition("####")
    return (rest.partition("\n")[0].strip() or None) if mark else None


def _last_said(sentence: str) -> str | None:
    """The last formula of a sentence, unless a number follows it."""
    formula = max(_FORMULA.finditer(sentence), key=lambda match: match.end(), default=None)
    number = final_number(sentence[formula.end() :] if formula else sentence)
    return number or ((formula.group(1) or formula.group(2)).strip() if formula else None)


def final_number(text: str) -> str | None:
    """The last number of the text, with sign, without thousands commas; a fraction or `\\frac{a}{b}` stays one."""
    size = _WINDOW
    while True:  # from the end, in doubling windows: a long text costs no more than its tail
        start = max(0, len(text) - size)
        last = None
        for match in _NUMBER.finditer(text, start):
            last = match
        if start == 0 or (last is not None and last.start() > start + 1024):
            return _signed(text, last) if last else None
        size *= 2


def _signed(text: str, match: re.Match[str]) -> str:
    """The number with its minus, unless the minus subtracts (`7 - 3`, `10-12`)."""
    number = match.group()
    if not number.startswith("\\") and not _MIXED.fullmatch(number):
        number = _SEPARATORS.sub("", number)
    before = text[max(0, match.start() - 8) : match.start()].rstrip("$\\").replace("\u2212", "-")
    is_sign = before.endswith("-") and not _SUBTRACTS.search(before)
    return f"-{number}" if is_sign else number
