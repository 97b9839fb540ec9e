"""Strange values, texts and bytes, drawn at random: what the generators of bad inputs are composed of."""

import os
import random
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PLANTED = "\x1b]0;PLANTED\x07"  # would set a terminal's title
CONTROLS = ("\x1b[31m", "\x1b[2J", PLANTED, "\x07", "\x08", "\r", "\x00", "\x9b31m", "\u202e", "\u2066", "\x7f")
PIECES = (
    *("\\boxed{", "}", "{", "\\frac", "\\frac{1}{2}", "\\text{", "\\left(", "\\right)", "\\sqrt", "^", "_", "$", "$$"),
    *("1", "0", "9", ".", ",", "1,000", "-", "+", "=", "1=1", " = ", "*", "/", "%", "(", ")", "[", "]", "|", "\\", "#"),
    *("inch", "inche", " inches", " unit", "square ", " degrees", "\\circ", " cm", "x", "e", "1e9", "٣", "½", "√", "∞"),
    *("answer is ", "The final answer is", "after ", "#### ", "<answer>", "</answer>", "So ", "\n", " ", "\t", "  "),
    *("```python\n", "```", "print(", "def f(x):\n", "import ", "x=x+1#", "for i in range(9):\n", "Think: ", "plus "),
    *("<|endoftext|>", "<think>", "</think>", "a\u0301", "\u200d", "🂡", "漢", "\ufeff", "\u2028", "\\begin{pmatrix}"),
    *("[bold]", "[/]", ":bomb:", "<script>", "{{", "}}", "{%", "%s", "&amp;", "'", '"', "\\u0000", "nan", "inf"),
)
HUGE = (10**12, 2**31, 2**32, 2**63, 2**64, 10**30, -1, -(2**63), 10**400, 0)
FLOATS = (float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 5e-324, -0.0)
MOST = 1_000_000  # characters of a text


def text(rng: random.Random, most: int = 4000, controls: bool = True) -> str:
    """Pieces, each repeated up to very often, in an order of no sense."""
    pieces = [*PIECES, *(CONTROLS if controls else ())]
    parts, room = [], rng.choice((20, 200, most))
    while room > 0 and len(parts) < 40:
        piece = rng.choice(pieces)
        piece = piece + rng.choice(pieces) if rng.random() < 0.4 else piece
        times = rng.choice((1, 1, 1, 2, 5, 40, 300, most))
        parts.append((piece * times)[:room])
        room -= len(parts[-1])
    return "".join(parts)


def adversarial(rng: random.Random) -> str:
    """One to three pieces repeated up to a million characters, with something before, between and behind."""
    length = rng.choice((300, 3000, 30_000, 300_000, MOST))
    unit = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 3)))
    body = unit * (length // max(1, len(unit)))
    if rng.random() < 0.3:
        other = rng.choice(PIECES)
        body = body[: length // 2] + other * (length // 2 // len(other))
    return text(rng, 60) + body + rng.choice(("", rng.choice(PIECES), text(rng, 60)))


def value(rng: random.Random, depth: int = 0) -> Any:
    """Any JSON value; never what was asked for, unless by chance."""
    draw = rng.random()
    if draw < 0.3:
        return text(rng, 300)
    if draw < 0.5:
        return rng.choice(HUGE)
    if draw < 0.6:
        return rng.choice(FLOATS)
    if draw < 0.8 or depth > 3:
        return rng.choice((None, True, False, "", " ", [], {}, 0.5, 10**5000))
    return nested(rng) if draw < 0.85 else composite(rng, depth)


def composite(rng: random.Random, depth: int) -> Any:
    """A list or an object of strange values."""
    items = [value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return items if rng.random() < 0.5 else {text(rng, 20): item for item in items}


def nested(rng: random.Random) -> Any:
    """Lists in lists, no deeper than can be written as JSON here."""
    held: Any = []
    for _ in range(rng.choice((5, 60, 400))):
        held = [held]
    return held


def json_text(held: Any) -> str:
    """As JSON; numbers of any length."""
    import json
    import sys

    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(held, ensure_ascii=True)
    finally:
        sys.set_int_max_str_digits(before)


def mutated(rng: random.Random, data: bytes) -> bytes:
    """A few bytes flipped, cut, doubled, inserted or moved."""
    held = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 30))):
        at = rng.randrange(len(held)) if held else 0
        how = rng.randrange(6)
        if how == 0 and held:
            held[at] ^= 1 << rng.randrange(8)
        elif how == 1 and held:
            held[at] = rng.choice((0, 255, 10, 34, 123, 128, rng.randrange(256)))
        elif how == 2:
            del held[at : at + rng.choice((1, 4, 100))]
        elif how == 3:
            held[at:at] = rng.choice((b"\x00", b"\xff\xfe", b'"', b"{", b"\n", bytes(8), b"9" * 400))
        elif how == 4:
            held[at:at] = held[max(0, at - 40) : at]
        elif rng.random() < 0.3:
            del held[at:]
    return bytes(held)


def pick(rng: random.Random, items: Sequence[Any], most: int) -> list[Any]:
    """One to `most` different ones."""
    return rng.sample(list(items), rng.randint(1, min(most, len(items))))


def device(path: Path, minor: int) -> None:
    """A device in the case's own folder (3: null, 5: zero, 7: full), so that nothing outside is harmed; else a FIFO."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, minor))
    except OSError:
        os.mkfifo(path)
