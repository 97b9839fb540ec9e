r"""Which blocks of code does a text hold? Markdown fences, and what models write in their place.

    ```python ... ```   ~~~   a fence whose closing one opens the next (```output)
    <llm-code> ... </llm-code>   <|python_tag|> ... <|eom_id|>   lstlisting, minted, verbatim
    code before a first fence without a tag, where all of it is code: the prompt opened that fence
    lines of Python without a fence that begin with an import, a def or >>>, up to the first line that is none

Time is linear in the text. Nothing is run.
"""

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

MAX_BLOCK = 20_000  # characters of a block that are parsed; the rest counts as cut off
MAX_BLOCKS = 64  # blocks looked at: more is a loop
TRIES = 20  # each ends before the line that the parser stumbled on

_MARK = re.compile(
    r"(?P<fence>`{3,}|~{3,})|<(?P<end>/?)llm-code>|<\|(?P<tag>python_tag|eom_id)\|>"
    r"|\\(?P<begin>begin|end)\{(?P<name>lstlisting|minted|verbatim)\}"
)
_INFO = re.compile(r"[ \t]{0,8}+(?P<tag>[\w+#.{}-]{0,20}+)[^\n`]{0,200}+(?:\n|\Z)|(?P<inline>\w{1,20}) ")
_LANGUAGE = re.compile(
    r"(?:\[[^\]\n]{0,80}?language ?= ?\{?(?P<named>\w{1,20})[^\]\n]{0,80}\]"
    r"|\[[^\]\n]{0,80}\]|\{(?P<tag>\w{1,20})\})?\n?"
)
_BARE_START = re.compile(
    r"^[ \t]{0,4}(?:>>> |import [\w.]{1,60}(?: as \w{1,30})?[ \t\r]*+$|from [\w.]{1,60} import \w|def \w{1,60}\()",
    re.MULTILINE,
)
_PRINT = re.compile(r"^([ \t]*+)print[ \t]++(?![(=])([^\n]++)$", re.MULTILINE)
PYTHON_TAGS = frozenset({"python", "py", "python3", "python2", "ipython", "{python}", "{.python}"})


@dataclass(frozen=True)
class Block:
    """A block: its language tag in lower case, its body, its span in the text, whether its end is there."""

    tag: str
    body: str
    span: tuple[int, int]
    closed: bool
    fenced: bool = True


def blocks(text: str) -> Iterator[Block]:
    """The blocks in order.

    A fence with a tag glued to it, where a closing one is due, does both: ```output closes the code and opens the
    output; ```python opens the next block of a text that never closed the last.
    """
    marks = _MARK.finditer(text)
    mark = next(marks, None)
    if mark is not None and _closes_the_prompts(text, mark):
        yield Block("python", text[: mark.start()], (0, mark.end()), True)
        mark = next(marks, None)
    for _ in range(MAX_BLOCKS):
        while mark is not None and _kind(mark)[1]:
            mark = next(marks, None)
        if mark is None:
            return
        (tag, start), kind = _opened(text, mark), _kind(mark)[0]
        close = next((other for other in marks if _ends(kind, other)), None)
        opens = (
            _info(text, close)[0] if close and close["fence"] and text[close.end() : close.end() + 1].isalpha() else ""
        )
        closed = close is not None and opens not in PYTHON_TAGS
        end = close.start() if close else len(text)
        yield Block(tag, text[start:end], (mark.start(), close.end() if close and closed else end), closed)
        mark = close if opens else next(marks, None)


def bare_code(text: str) -> Block | None:
    """The first lines of Python that no fence holds, as far as they parse; None without an import, a def or >>>."""
    start = _BARE_START.search(text)
    if start is None:
        return None
    body = text[start.start() : start.start() + MAX_BLOCK]
    prompts = start[0].lstrip().startswith(">>>")
    if prompts:
        body = "".join(line for line in body.splitlines(keepends=True)[:200] if line.startswith((">>> ", "... ")))
    elif start.start() + MAX_BLOCK >= len(text):
        body += "\n"
    return Block("", body, (start.start(), min(len(text), start.start() + max(1, len(body)))), prompts, fenced=False)


def _kind(mark: re.Match[str]) -> tuple[str, bool]:
    """(kind, whether it can only end a block)."""
    if mark["fence"]:
        return mark["fence"][0], False
    if mark["tag"]:
        return "<|", mark["tag"] == "eom_id"
    return (mark["name"], mark["begin"] == "end") if mark["name"] else ("<", mark["end"] == "/")


def _ends(kind: str, mark: re.Match[str]) -> bool:
    other, only_ends = _kind(mark)
    return other == kind and (only_ends or mark["fence"] is not None)


def _opened(text: str, mark: re.Match[str]) -> tuple[str, int]:
    """(language tag, where the body starts) of an opening mark."""
    if mark["fence"]:
        return _info(text, mark)
    if mark["name"] is None:
        return "python", mark.end()
    found = _LANGUAGE.match(text, mark.end())
    return ((found["named"] or found["tag"] or "").lower(), found.end()) if found else ("", mark.end())


def _info(text: str, fence: re.Match[str]) -> tuple[str, int]:
    info = _INFO.match(text, fence.end())
    return ((info["tag"] or info["inline"] or "").lower(), info.end()) if info else ("", fence.end())


def _closes_the_prompts(text: str, mark: re.Match[str]) -> bool:
    """Whether everything before the first fence, which has no tag, is code that imports, defines or prints."""
    before = text[: mark.start()]
    if not mark["fence"] or not before.endswith("\n") or len(before) > MAX_BLOCK or _info(text, mark)[0]:
        return False
    tree = parsed(source(before))[0]
    return tree is not None and computes(tree, tagged=False)


def statements(block: Block) -> ast.Module | None:
    """The parsed body, of one without an end the longest parsing prefix of whole lines; None where nothing parses."""
    if block.closed:
        return _either(source(block.body)) if len(block.body) <= MAX_BLOCK else None
    lines = source(block.body[:MAX_BLOCK]).split("\n")[:-1]  # the last line is not whole
    for _ in range(TRIES):
        tree, line = parsed("\n".join(lines))
        if tree is not None:
            return tree
        lines = lines[: max(0, min(line, len(lines)) - 1)]
    return None


def source(body: str) -> str:
    """The body as a script: common indent, notebook magics and interactive prompts taken off."""
    lines = textwrap.dedent(body.replace("\r\n", "\n")).split("\n")
    if any(line.startswith(">>> ") for line in lines):
        lines = [line[4:] for line in lines if line.startswith((">>> ", "... "))]
    return "\n".join("" if line.startswith(("!", "%")) else line for line in lines)


def parsed(script: str) -> tuple[ast.Module | None, int]:
    """(tree, 0), or (None, number of the line the parser stumbled on)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" in a string is a warning about the model's text, not about ours
        try:
            return ast.parse(script), 0
        except SyntaxError as err:
            return None, err.lineno or 1
        except (ValueError, RecursionError, MemoryError):  # null bytes, nesting, size
            return None, 1


def _either(script: str) -> ast.Module | None:
    """Python 3, or what is Python 3 once the print statements of Python 2 are calls."""
    tree = parsed(script)[0]
    return tree if tree is not None else parsed(_PRINT.sub(r"\1print(\2)", script))[0]


def computes(tree: ast.Module, *, tagged: bool) -> bool:
    """Whether a statement assigns, calls, imports or defines; more is asked of a block without a tag."""
    assigns = calls = prints = defines = False
    for node in ast.walk(tree):
        assigns |= isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign)
        calls |= isinstance(node, ast.Call)
        prints |= isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        defines |= isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
    return defines or prints or (assigns or calls if tagged else assigns and calls)


def is_program(tree: ast.Module) -> bool:
    """What is asked of code without a fence: it imports or defines, and calls or assigns as well."""
    kinds = {type(node) for node in tree.body}
    defines = bool(kinds & {ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef})
    return defines and bool(kinds & {ast.Assign, ast.AugAssign, ast.Expr, ast.For}) and len(tree.body) > 1
