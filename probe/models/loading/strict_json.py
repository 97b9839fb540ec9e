"""What does this JSON say, if it says one thing only? Keys that are given twice, halves of surrogate pairs, numbers of
hundreds of digits and what is nested too deeply are refused; so is a file that does not end, before it is opened.
"""

import json
import re
from pathlib import Path
from typing import Any

from probe.errors import BadInput
from probe.store.regular import read_regular

MAX_BYTES = 200_000_000  # of a file: the largest tokenizers have 35 MB
MAX_DIGITS = 100  # tokenizer_config.json often holds the whole number 1e30
AGAIN = "download it again, or save it again"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(file: Path, limit_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """The object in a JSON file; BadInput where it is none, or larger than that."""
    try:
        content = parse(read_regular(file, limit_bytes))
    except ValueError as err:
        raise _broken(file, f"{file.name} is no JSON: {err}") from err
    if not isinstance(content, dict):
        raise _broken(file, f"{file.name} holds a {type(content).__name__}, no object")
    return content


def parse(data: bytes) -> Any:
    """What the text says; ValueError where it is no JSON, or says two things."""
    try:
        content = json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_int=_whole)
        if _SURROGATE.search(data):
            json.dumps(content, ensure_ascii=False).encode("utf-8")  # pairs are characters, halves are not
    except RecursionError as err:
        raise ValueError("nested too deeply") from err
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:60]!r} is given twice")
    return found


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _broken(file: Path, what: str) -> BadInput:
    return BadInput(f"cannot load: {what}", where=str(file), do=AGAIN)
