"""Does this response reason in code? The paper's substring, and a strict detector with graded evidence.

    mentions_python   "python" occurs in the lower-cased response: the metric of 2506.10947
    detect            real Python before the final answer

The substring misleads: in one public set of outputs every hit is run-on text after the boxed answer. So `detect` looks
only at the *admissible* text: the response's own turn (`answers.own_turn`) up to its final answer
(`probe.tasks.final_answer`: a sub-result boxed midway is none). Evidence:

    0  nothing, and the substring does not occur either
    1  "python" is mentioned somewhere, code stands only after the answer, or it is code of another language
    2  Python-looking code that does not parse, or one line again and again
    3  a block that parses and assigns, calls, imports or defines (`ast.parse`, nothing is ever run)

The label is code at grade 3. Decided, and tested one by one:

    a closed block with a typo cannot run: grade 2; one cut off by the length limit counts if some prefix of its whole
    lines parses; Python 2's print statement counts; <llm-code>, <|python_tag|>, lstlisting and minted are blocks
    a block without a tag must import, define, print, or both assign and call (`x = 3 * 4` is also algebra), and is
    another language where most of its lines end in a semicolon; a tag of another language is another language
    lines without a fence count if they parse, import or define, and go on to call or assign
    the same block LOOP_BLOCKS times is a loop: that is flagged beside the label, not instead of it

Code frequency is a property of model x prompt, not of a model.
"""

import ast
import re
from collections import Counter
from dataclasses import dataclass

from probe.data import Strategy
from probe.tasks.answers import own_turn
from probe.tasks.code_blocks import MAX_BLOCK, PYTHON_TAGS, Block, bare_code, blocks, computes, is_program, statements
from probe.tasks.final_answer import final_answer_at

LOOP_BLOCKS = 3
LOOP_LINES = 20  # a block this long with fewer than 1 in 5 lines distinct is one line again and again

_LOOKS_LIKE_CODE = re.compile(
    r"^[ \t]*(?:>>> |import [\w.]+(?: as \w+)?[ \t]*$|from [\w.]+ import \w|def \w+\("
    r"|(?:print\(.*\)|for \w+ in .+:)[ \t]*$)",  # `d = sqrt(5)` is how some write algebra
    re.MULTILINE,
)
_OTHER = re.compile(
    r"#include\b|\bconsole\.log\(|\b(?:let|const|var) \w+ ?=|\bint main\(|\bSystem\.out|\bfunction \w*\("
)
_OTHER_TAGS = frozenset(
    {"javascript", "js", "cpp", "c++", "c", "java", "matlab", "r", "sql", "julia", "go", "rust", "bash"}
)


@dataclass(frozen=True)
class Evidence:
    """The label, the grade of its evidence (0 to 3), the character span it was found at, why, and whether it loops."""

    label: Strategy
    grade: int
    where: tuple[int, int] | None
    reason: str
    loops: bool = False


Parsed = tuple[Block, ast.Module | None]


def mentions_python(text: str) -> bool:
    """The paper's metric: "python" anywhere in the response, whatever the case (2506.10947)."""
    return "python" in text.lower()


def detect(text: str) -> Evidence:
    """Whether a response (the completion alone) reasons in code. Never raises, whatever the text is."""
    admissible, found = _candidates(text)
    code = [(block, statements(block)) for block in found if _may_be_python(block)]
    seen = Counter(_key(block) for block, _ in code)
    loops = any(n >= LOOP_BLOCKS for n in seen.values())
    real = [block for block, tree in code if tree is not None and _counts(block, tree)]
    if still := [block for block in real if not _repeats(block.body)]:
        first = still[0]
        where = "a block" if first.fenced else "lines without a fence"
        return Evidence(Strategy.code, 3, first.span, f"{where} of Python before the answer", loops)
    if real:
        return Evidence(Strategy.prose, 2, real[0].span, "one line of code again and again", True)
    return _lesser(text, admissible, found, code)


def _candidates(text: str) -> tuple[str, list[Block]]:
    """The admissible text, and the blocks in it."""
    head = own_turn(text)
    found = list(blocks(head))
    end = final_answer_at(head, [block.span for block in found if block.closed])
    kept = [_until(block, end, head) for block in found if block.span[0] < end]
    bare = bare_code(_without(head[:end], kept))
    return head[:end], kept + ([bare] if bare else [])


def _may_be_python(block: Block) -> bool:
    return block.tag in PYTHON_TAGS or (not block.tag and not _is_other(block))


def _is_other(block: Block) -> bool:
    """Whether a block is code of another language."""
    if block.tag:
        return block.tag in _OTHER_TAGS
    body = block.body[:MAX_BLOCK]
    lines = [line.rstrip() for line in body.split("\n") if line.strip()]
    return _OTHER.search(body) is not None or 2 * sum(line.endswith(";") for line in lines) > len(lines)


def _counts(block: Block, tree: ast.Module) -> bool:
    return computes(tree, tagged=bool(block.tag)) if block.fenced else is_program(tree)


def _lesser(text: str, admissible: str, found: list[Block], code: list[Parsed]) -> Evidence:
    """Evidence of grade 2 or less."""
    for block, tree in code:
        looks = (block.tag or block.closed) and _LOOKS_LIKE_CODE.search(block.body[:MAX_BLOCK])
        if tree is None and block.fenced and looks:
            return Evidence(Strategy.prose, 2, block.span, "a block that does not parse as Python")
    lines = list(_LOOKS_LIKE_CODE.finditer(_without(admissible, [block for block, _ in code if block.fenced])))
    if len(lines) >= 2:
        return Evidence(Strategy.prose, 2, (lines[0].start(), lines[-1].end()), "lines of Python without a fence")
    if other := next((block for block in found if block.fenced and _is_other(block)), None):
        return Evidence(Strategy.prose, 1, other.span, "other code")
    at = text.lower().find("python")
    if at < 0:
        return Evidence(Strategy.prose, 0, None, "no Python")
    place = "mentioned" if at < len(admissible) else "only after the answer"
    return Evidence(Strategy.prose, 1, (at, at + len("python")), place)


def _until(block: Block, end: int, text: str) -> Block:
    """The block cut at the answer, which one without an end may run past."""
    if block.closed or block.span[1] <= end:
        return block
    start = block.span[1] - len(block.body)
    return Block(block.tag, text[start : max(start, end)], (block.span[0], end), False)


def _key(block: Block) -> str:
    return "".join(block.body.split())


def _repeats(body: str) -> bool:
    lines = [line.strip() for line in body.split("\n") if line.strip()]
    return len(lines) >= LOOP_LINES and len(set(lines)) * 5 < len(lines)


def _without(text: str, found: list[Block]) -> str:
    """The text with the blocks blanked out, every other character in its place."""
    pieces, at = [], 0
    for block in found:
        start, end = block.span
        pieces += [text[at:start], " " * (min(end, len(text)) - start)]
        at = end
    return "".join([*pieces, text[at:]])
