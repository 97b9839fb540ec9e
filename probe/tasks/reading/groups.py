r"""Is an answer several values, in which order? \{1,2\}, 1 and 2, \pm 2 are sets, (1,2) and \langle 1,2 \rangle tuples.

`x=1, x=-1` and `x=1,-1` are the set of the values, `x=1, y=2` the tuple of them. Brackets of other kinds keep their
name: [1,2] is no tuple and (1,2] none of the two. Left out: matrices.
"""

import re
from dataclasses import dataclass

_AND = re.compile(r",? ?(?:\\text\{ ?(?:and|or) ?\}|(?:\\|(?<![A-Za-z]))(?:and|or)(?![A-Za-z]))(?: |(?=\W))")
_MEMBER = re.compile(r"[A-Za-z] ?\\in(?![A-Za-z]) ?")
_NAMED = re.compile(r"([A-Za-z](?:_\{?\w\}?)?|\\[a-z]{2,8})=")
_SIGNED = re.compile(r"\\(?:pm|mp)(?![A-Za-z])")
_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True)
class Group:
    """The values of an answer; `kind` is "set", or the brackets that hold an ordered one: "()", "[]", "(]", "[)"."""

    kind: str
    items: tuple[str, ...]


def group(form: str) -> Group | None:
    """The values of a normal form; None for a single one."""
    member = _MEMBER.match(form)
    body = form[member.end() if member else 0 :].replace("\\langle", "(").replace("\\rangle", ")").strip()
    kind = "set"
    if body.startswith("\\{") and body.endswith("\\}") and len(body) > 4:
        body, braced = body[2:-2], True
    else:
        braced = False
        if _is_whole(body) and "," in body:
            kind, body = body[0] + body[-1], body[1:-1]
    items = _items(body if kind != "set" else _AND.sub(",", body))
    if kind == "set":
        items = [each for item in items for each in _both_signs(item)]
    if len(items) < 2 and not braced:
        return None
    if not all(items):
        return None
    return _without_names(kind, items)


def _is_whole(body: str) -> bool:
    """Whether the bracket that opens a text is closed by the one that ends it."""
    if len(body) < 3 or body[0] not in "([" or body[-1] not in ")]":
        return False
    depth = 0
    for at, char in enumerate(body):
        depth += (char in _OPEN) - (char in _CLOSE)
        if depth == 0:
            return at == len(body) - 1
    return False


def _items(body: str) -> list[str]:
    """What stands between the commas that no bracket holds."""
    depth, start, items = 0, 0, []
    for at, char in enumerate(body):
        depth += (char in _OPEN) - (char in _CLOSE)
        if char == "," and depth == 0:
            items.append(body[start:at].strip())
            start = at + 1
    return [*items, body[start:].strip()]


def _both_signs(item: str) -> list[str]:
    """An item with one plus-minus, with + and with -."""
    signs = _SIGNED.findall(item)
    if len(signs) != 1:
        return [item]
    before, after = _SIGNED.split(item, 1)
    name = before.endswith("=") or not before
    return [f"{before}{'' if name else '+'}{after.strip()}", f"{before}-{after.strip()}"]


def _without_names(kind: str, items: list[str]) -> Group:
    names = [found[1] if (found := _NAMED.match(item)) else "" for item in items]
    bare = tuple(item[len(name) + 1 :] if name else item for item, name in zip(items, names, strict=True))
    if kind == "set" and all(names) and len(set(names)) == len(names):
        return Group("()", bare)
    return Group(kind, bare) if len({*names} - {""}) < 2 else Group(kind, tuple(items))
