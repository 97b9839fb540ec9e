"""Does this response reason in code? The paper's substring, and a strict detector with graded evidence.

    mentions_python   "python" occurs in the lower-cased response: the metric of 2506.10947
    detect            real Python before the final answer

The substring misleads: in one public set of outputs every hit is run-on text after the boxed answer. So `detect` looks
only at the *admissible* text, which ends at the first of: an end-of-text token, a new turn ("Human:", "Question:"), the
first final answer outside a fence (a box that is not empty, <answer>, ####, "the answer is 18"). The first, because
what follows is often a re-check or another problem; a sub-result boxed midway is therefore missed. Evidence:

    0  nothing, and the substring does not occur either
    1  "python" is mentioned somewhere, or code stands only after the answer
    2  Python-looking code that is unfenced, does not parse, or is a repetition loop
    3  a fenced block that parses and assigns, calls, imports or defines (`ast.parse`, nothing is ever run)

The label is code at grade 3. Fences in other languages are not code; a fence without a tag must import, define, print,
or both assign and call (`x = 3 * 4` is also algebra). A block cut off by the length limit counts if some prefix of
its whole lines parses so. A block seen LOOP_BLOCKS times, or made of the same few lines again and again, is a loop.
Code frequency is a property of model x prompt, not of a model.
"""

import ast
import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from probe.data import Strategy
from probe.tasks.answers import own_turn
from probe.tasks.gold import MARK

MAX_BLOCK = 20_000  # characters of a block that are parsed; the rest counts as cut off
MAX_BLOCKS = 64  # blocks looked at: more is a loop
LOOP_BLOCKS = 3
LOOP_LINES = 20  # a block this long with fewer than 1 in 5 lines distinct is a loop

_ANSWER = re.compile(
    r"\\(?:boxed|fbox)\s*\{[\s{$]*(?!\.\.)[^\s{}$]|\\boxed\s+\d|<answer>"
    rf"|(?:^|\n){MARK} ?[-$\d]"
    r"|\b[Tt]he (?:final )?answer is:?[ *$]{0,4}-?\d"
)
_FENCE = re.compile(r"`{3,}|~{3,}")
_INFO = re.compile(r"[ \t]{0,8}+(?P<tag>[\w+#.{}-]{0,20}+)[^\n`]{0,200}+(?:\n|\Z)|(?P<inline>\w{1,20}) ")
_PYTHON_TAGS = frozenset({"python", "py", "python3", "ipython", "{python}", "{.python}"})
_LOOKS_LIKE_CODE = re.compile(
    r"^[ \t]*(?:>>> |import [\w.]+(?: as \w+)?[ \t]*$|from [\w.]+ import \w|def \w+\("
    r"|(?:print\(.*\)|for \w+ in .+:)[ \t]*$)",  # `d = sqrt(5)` is how some write algebra
    re.MULTILINE,
)


@dataclass(frozen=True)
class Evidence:
    """The label, the grade of its evidence (0 to 3), the character span it was found at, and why in a few words."""

    label: Strategy
    grade: int
    where: tuple[int, int] | None
    reason: str


@dataclass(frozen=True)
class Block:
    """A fenced block: its language tag in lower case, its body, its span in the text, whether its fence closes."""

    tag: str
    body: str
    span: tuple[int, int]
    closed: bool


def mentions_python(text: str) -> bool:
    """The paper's metric: "python" anywhere in the response, whatever the case (2506.10947)."""
    return "python" in text.lower()


def detect(text: str) -> Evidence:
    """Whether a response (the completion alone) reasons in code. Never raises, whatever the text is."""
    admissible, code = _candidates(text)
    real, looped = _computing(code)
    if real:
        return Evidence(Strategy.code, 3, real[0].span, "a fenced block of Python before the answer")
    if looped:
        return Evidence(Strategy.prose, 2, looped[0].span, "a repetition loop of the same code")
    return _lesser(text, admissible, code)


def _candidates(text: str) -> tuple[str, list[tuple[Block, ast.Module | None]]]:
    """The admissible text, and its blocks that may be Python, parsed."""
    head = own_turn(text)
    blocks = list(_blocks(head))
    end = _answer_at(head, blocks)
    before = [_until(block, end, head) for block in blocks if block.span[0] < end]
    code = [(block, _statements(block)) for block in before if block.tag in _PYTHON_TAGS or not block.tag]
    return head[:end], code


def _computing(code: list[tuple[Block, ast.Module | None]]) -> tuple[list[Block], list[Block]]:
    """The blocks whose statements compute something: those that do, and those that only loop."""
    seen = Counter(_key(block) for block, _ in code)
    computing = [block for block, parsed in code if parsed is not None and _computes(parsed, tagged=bool(block.tag))]
    loops = [block for block in computing if seen[_key(block)] >= LOOP_BLOCKS or _repeats(block.body)]
    return [block for block in computing if block not in loops], loops


def _lesser(text: str, admissible: str, code: list[tuple[Block, ast.Module | None]]) -> Evidence:
    """Evidence of grade 2 or less."""
    for block, parsed in code:
        if parsed is None and (block.tag or block.closed) and _LOOKS_LIKE_CODE.search(block.body[:MAX_BLOCK]):
            return Evidence(Strategy.prose, 2, block.span, "a fenced block that does not parse as Python")
    lines = list(_LOOKS_LIKE_CODE.finditer(_without(admissible, [block for block, _ in code])))
    if len(lines) >= 2:
        return Evidence(Strategy.prose, 2, (lines[0].start(), lines[-1].end()), "lines of Python without a fence")
    at = text.lower().find("python")
    if at < 0:
        return Evidence(Strategy.prose, 0, None, "no Python")
    place = "mentioned" if at < len(admissible) else "only after the answer"
    return Evidence(Strategy.prose, 1, (at, at + len("python")), place)


def _blocks(text: str) -> Iterator[Block]:
    """The fenced blocks in order.

    A fence with a tag glued to it, where a closing one is due, does both: ```output closes the code and opens the
    output; ```python opens the next block of a text that never closed the last.
    """
    fences = _FENCE.finditer(text)
    fence = next(fences, None)
    for _ in range(MAX_BLOCKS):
        if fence is None:
            return
        (tag, start), mark = _info(text, fence), fence.group()[0]
        close = next((other for other in fences if other.group()[0] == mark), None)
        opens = _info(text, close)[0] if close and text[close.end() : close.end() + 1].isalpha() else ""
        closed = close is not None and opens not in _PYTHON_TAGS
        end = close.start() if close else len(text)
        yield Block(tag, text[start:end], (fence.start(), close.end() if close and closed else end), closed)
        fence = close if opens else next(fences, None)


def _info(text: str, fence: re.Match[str]) -> tuple[str, int]:
    """(language tag, where the body starts) of an opening fence."""
    info = _INFO.match(text, fence.end())
    return ((info["tag"] or info["inline"] or "").lower(), info.end()) if info else ("", fence.end())


def _answer_at(text: str, blocks: list[Block]) -> int:
    """Where the first final answer starts; a box inside a closed fence is program text, not an answer."""
    fenced = iter([block.span for block in blocks if block.closed])
    span = next(fenced, None)
    for match in _ANSWER.finditer(text):
        while span is not None and span[1] <= match.start():
            span = next(fenced, None)
        if span is None or match.start() < span[0]:
            return match.start()
    return len(text)


def _until(block: Block, end: int, text: str) -> Block:
    """The block cut at the answer, which an unclosed fence may run past."""
    if block.closed or block.span[1] <= end:
        return block
    start = block.span[1] - len(block.body)
    return Block(block.tag, text[start : max(start, end)], (block.span[0], end), False)


def _statements(block: Block) -> ast.Module | None:
    """The parsed body, of an unclosed block the longest parsing prefix of whole lines; None where nothing parses."""
    if block.closed:
        return _parse(_source(block.body))[0] if len(block.body) <= MAX_BLOCK else None
    lines = _source(block.body[:MAX_BLOCK]).split("\n")[:-1]  # the last line is not whole
    for _ in range(20):  # each try ends before the line the parser named
        parsed, line = _parse("\n".join(lines))
        if parsed is not None:
            return parsed
        lines = lines[: max(0, min(line, len(lines)) - 1)]
    return None


def _source(body: str) -> str:
    """The body as a script: common indent, notebook magics and interactive prompts taken off."""
    lines = textwrap.dedent(body.replace("\r\n", "\n")).split("\n")
    if any(line.startswith(">>> ") for line in lines):
        lines = [line[4:] for line in lines if line.startswith((">>> ", "... "))]
    return "\n".join("" if line.startswith(("!", "%")) else line for line in lines)


def _parse(source: str) -> tuple[ast.Module | None, int]:
    """(tree, 0), or (None, number of the line the parser stumbled on)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" in a string is a warning about the model's text, not about ours
        try:
            return ast.parse(source), 0
        except SyntaxError as err:
            return None, err.lineno or 1
        except (ValueError, RecursionError, MemoryError):  # null bytes, nesting, size
            return None, 1


def _computes(tree: ast.Module, *, tagged: bool) -> bool:
    """Whether a statement assigns, calls, imports or defines; more is asked of a fence without a tag."""
    assigns = calls = prints = defines = False
    for node in ast.walk(tree):
        assigns |= isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign)
        calls |= isinstance(node, ast.Call)
        prints |= isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        defines |= isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
    return defines or prints or (assigns or calls if tagged else assigns and calls)


def _key(block: Block) -> str:
    return "".join(block.body.split())


def _repeats(body: str) -> bool:
    lines = [line.strip() for line in body.split("\n") if line.strip()]
    return len(lines) >= LOOP_LINES and len(set(lines)) * 5 < len(lines)


def _without(text: str, blocks: list[Block]) -> str:
    """The text with the blocks blanked out, every other character in its place."""
    pieces, at = [], 0
    for block in blocks:
        start, end = block.span
        pieces += [text[at:start], " " * (min(end, len(text)) - start)]
        at = end
    return "".join([*pieces, text[at:]])
