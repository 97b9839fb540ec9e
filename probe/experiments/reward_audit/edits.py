r"""How can a response be changed so that a reward has no business to notice?

    trailing_newline   one to three newlines behind it
    inner_blank        one blank outside of code made two
    neutral_sentence   a sentence that says nothing, in front
    answer_said        "The answer is " before the last box
    variable_names     names that code blocks assign to, renamed in all blocks

An edit counts only where nothing that matters moved (`essence`): the answer by every rule of extraction, the strategy,
the mention of "python", where the response's own turn ends. Where it did, or there is nothing to edit, the edit does
not apply. Two more are for counterfactuals (2501.09620): `longer` puts as many neutral sentences in front as double the
length, `rephrased` gives two texts that differ in one sentence of the same length. Draws are addressed.
Left out: paraphrase by a model; renaming where names occur in f-strings, as arguments, or are imported.
"""

import ast
import itertools
import math
import re
from collections.abc import Callable, Sequence

import numpy as np

from probe.rng import numpy_rng
from probe.strategy import detect, mentions_python
from probe.tasks.answers import boxes, own_turn
from probe.tasks.code_blocks import PYTHON_TAGS, Block, blocks, parsed
from probe.tasks.extractors import ONE_RULE

SENTENCES = (  # of one length, so that one for another changes the phrasing alone
    "Let me work on this, step by step.",
    "I will look at the question first.",
    "We should think about it a little.",
    "Here is how one could go about it.",
)
SAID = "The answer is "
TRIES = 5
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")  # as Python counts them; str.splitlines knows more ends
Draw = np.random.Generator
Edit = Callable[[str, Draw], str | None]


def essence(text: str) -> tuple[object, ...]:
    """What an irrelevant edit must leave alone."""
    own = own_turn(text)
    return (*(rule(own) for rule in ONE_RULE.values()), detect(text).label, mentions_python(text), len(text) > len(own))


def edited(name: str, text: str, *address: str | int) -> str | None:
    """The text after the edit of that name; None where it does not apply."""
    rng = numpy_rng(*address, "edit", name)
    changed = EDITS[name](text, rng)
    return changed if changed is not None and changed != text and essence(changed) == essence(text) else None


def longer(text: str, *address: str | int) -> str | None:
    """The text behind as many neutral sentences as it is long; None where they would change its essence."""
    rng, n = numpy_rng(*address, "edit", "longer"), max(1, math.ceil(len(text) / (len(SENTENCES[0]) + 1)))
    changed = "".join(f"{SENTENCES[i]}\n" for i in rng.integers(len(SENTENCES), size=n).tolist()) + text
    return changed if essence(changed) == essence(text) else None


def rephrased(text: str, *address: str | int) -> tuple[str, str] | None:
    """Two texts of one length that open with different sentences; None where those would change its essence."""
    rng = numpy_rng(*address, "edit", "rephrased")
    one, other = (f"{SENTENCES[i]}\n{text}" for i in rng.permutation(len(SENTENCES))[:2].tolist())
    return (one, other) if essence(one) == essence(text) == essence(other) else None


def _trailing_newline(text: str, rng: Draw) -> str:
    return text + "\n" * int(rng.integers(1, 4))


def _inner_blank(text: str, rng: Draw) -> str | None:
    """The first of TRIES blanks, drawn, whose doubling leaves the essence."""
    spans, kept = [block.span for block in blocks(text)], essence(text)
    places = [i for i, sign in enumerate(text) if sign == " " and not any(a <= i < b for a, b in spans)]
    for place in rng.permutation(places)[:TRIES].astype(int).tolist():
        changed = text[:place] + " " + text[place:]
        if essence(changed) == kept:
            return changed
    return None


def _neutral_sentence(text: str, rng: Draw) -> str:
    return f"{SENTENCES[int(rng.integers(len(SENTENCES)))]}\n{text}"


def _answer_said(text: str, rng: Draw) -> str | None:
    at = max((start for start, _ in boxes(own_turn(text))), default=None)
    return None if at is None else text[:at] + SAID + text[at:]


def _variable_names(text: str, rng: Draw) -> str | None:
    """Every name that the blocks assign to and that can be renamed with certainty gets a suffix, the same in all."""
    code = [(block, parsed(block.body)[0]) for block in blocks(text) if block.tag in PYTHON_TAGS | {""}]
    trees = [(block, tree) for block, tree in code if tree is not None]
    names = _renamable([tree for _, tree in trees])
    suffix = ("_a", "_b", "_value", "_new")[int(rng.integers(4))]
    if not names or any(f"{name}{suffix}" in text for name in names):
        return None
    for block, tree in reversed(trees):  # from the end, so that places before stay where they are
        start = text.rindex(block.body, *block.span)  # the first could lie in the tag of its fence
        text = text[:start] + _renamed(block, tree, names, suffix) + text[start + len(block.body) :]
    return text


def _renamable(trees: Sequence[ast.Module]) -> set[str]:
    nodes = [node for tree in trees for node in ast.walk(tree)]
    if any(isinstance(node, ast.JoinedStr) for node in nodes):
        return set()  # places of names within f-strings are not told before Python 3.12
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return stored - set(itertools.chain.from_iterable(map(_fixed, nodes)))


def _fixed(node: ast.AST) -> list[str]:
    """Names that this node uses in another way than as a plain variable."""
    match node:
        case ast.arg() | ast.keyword():
            return [node.arg or ""]
        case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
            return [node.name]
        case ast.alias():
            return [node.asname or node.name.partition(".")[0]]
        case ast.Global() | ast.Nonlocal():
            return list(node.names)
        case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar():
            return [node.name or ""]
        case ast.MatchMapping():
            return [node.rest or ""]
    return []


def _renamed(block: Block, tree: ast.Module, names: set[str], suffix: str) -> str:
    lines = [line.encode() for line in _LINE.findall(block.body)]
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in names]
    for node in sorted(found, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        line, end = lines[node.lineno - 1], node.end_col_offset or 0
        lines[node.lineno - 1] = line[:end] + suffix.encode() + line[end:]
    return b"".join(lines).decode()


EDITS: dict[str, Edit] = {
    "trailing_newline": _trailing_newline,
    "inner_blank": _inner_blank,
    "neutral_sentence": _neutral_sentence,
    "answer_said": _answer_said,
    "variable_names": _variable_names,
}
