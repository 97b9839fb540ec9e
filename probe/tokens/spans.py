"""Where does a character of a response sit among its tokens, and is it code, prose or the answer?

    spelling       ids -> the text they spell, and per token the characters [start, end) it has a part in
    tokens_in      characters [start, end) -> the fewest tokens that hold all of them
    regions        text -> code (blocks the strategy detector counts), answer (inside the final box), prose (the rest)
    labels         text and spans -> one of these words a token

Ids are the record: the text is what they spell, special tokens included and nothing cleaned up, whatever the tokenizer
is set to do. A character of several tokens (an emoji in byte-level BPE) belongs to each of them, so the spans of
neighbours share a character or meet, and have no gap. Bytes that are no UTF-8 spell U+FFFD, as in `decode`. An id the
tokenizer does not know spells nothing: its span is empty.

Byte-level tokens say their bytes. Of other tokenizers (SentencePiece with byte fallback, whole words) a token spells
what it adds to the one before it. The sum is compared with `decode`: any other tokenizer is an error, not a guess.
Left out: slow tokenizers.
"""

import codecs
import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
from jaxtyping import Int
from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

from probe.errors import BadInput, ProbeError
from probe.strategy import code_blocks
from probe.tasks.answers import boxed_span, cut_at_stop

Span = tuple[int, int]
Kind = Literal["prose", "code", "answer"]

_BYTE = {letter: byte for byte, letter in bytes_to_unicode().items()}
_BYTE_TOKEN = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_BAD = 0xDC00  # U+DC00 + n stands for n bad bytes: no UTF-8 decodes to it


@dataclass(frozen=True)
class Region:
    """The characters [start, end) of a text."""

    kind: Kind
    start: int
    end: int


def spelling(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> tuple[str, list[Span]]:
    """The text that the ids spell, and the characters of it that each token has a part in."""
    if not tokenizer.is_fast:
        do = "load its fast version: a tokenizer.json"
        raise BadInput("a slow tokenizer does not say what its tokens spell", where=type(tokenizer).__name__, do=do)
    tokens = tokenizer.convert_ids_to_tokens(ids)
    known = [token for token in tokens if token is not None]
    decoder = tokenizer.backend_tokenizer.decoder
    kinds = _kinds(json.loads(decoder.__getstate__())) if decoder is not None else set()
    if "ByteLevel" in kinds:
        found = iter([_bytes_of(token) for token in known])
    else:
        found = iter(_in_context(known, " ".join if decoder is None else decoder.decode, "ByteFallback" in kinds))
    pieces = [b"" if token is None else next(found) for token in tokens]
    text, owner = _characters(b"".join(pieces))
    if text != tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False):
        what = f"the tokens do not add up to the text they decode to (decoder: {', '.join(sorted(kinds)) or 'none'})"
        raise ProbeError(what, where=type(tokenizer).__name__, do="measure without spans on this tokenizer")
    sizes = np.array([len(piece) for piece in pieces], dtype=np.int64)
    ends = np.cumsum(sizes)
    first = owner[ends - sizes]
    last = np.where(sizes > 0, owner[ends - 1] + 1, first)
    return text, list(zip(first.tolist(), last.tolist(), strict=True))


def tokens_in(spans: list[Span], characters: Span) -> range:
    """The fewest tokens in a row that hold every one of the characters; none for an empty span."""
    start, end = characters
    inside = [i for i, (first, last) in enumerate(spans) if first < end and last > start]
    return range(inside[0], inside[-1] + 1) if inside and end > start else range(0)


def regions(text: str) -> list[Region]:
    """The whole text in parts, in order, none empty. A box inside a code block is program text, not the answer."""
    marked = [Region("code", *block.span) for block in code_blocks(text)]
    answer = boxed_span(cut_at_stop(text))
    if answer and not any(code.start < answer[1] and answer[0] < code.end for code in marked):
        marked.append(Region("answer", *answer))
    parts, at = [], 0
    for part in sorted(marked, key=lambda part: part.start):
        parts += [Region("prose", at, part.start), part]
        at = part.end
    return [part for part in (*parts, Region("prose", at, len(text))) if part.end > part.start]


def labels(text: str, spans: list[Span]) -> list[Kind]:
    """What each token is part of; one with characters of two regions is of the answer, else of the code."""
    found: list[Kind] = ["prose"] * len(spans)
    for part in sorted(regions(text), key=lambda part: part.kind == "answer"):
        if part.kind != "prose":
            for i in tokens_in(spans, (part.start, part.end)):
                found[i] = part.kind
    return found


def _kinds(decoder: dict) -> set[str]:
    return {decoder["type"]}.union(*(_kinds(part) for part in decoder.get("decoders", [])))


@functools.lru_cache(maxsize=2**18)
def _bytes_of(token: str) -> bytes:
    """What a byte-level token spells: each letter a byte; an added token with other letters stands for itself."""
    return bytes(_BYTE[letter] for letter in token) if all(letter in _BYTE for letter in token) else token.encode()


def _in_context(tokens: list[str], decode: Callable[[list[str]], str], byte_fallback: bool) -> list[bytes]:
    """What each token adds to the one before; a run of byte tokens is UTF-8 as a whole or one U+FFFD each."""
    pieces: list[bytes] = []
    before: list[str] = []
    for is_byte, run in groupby(tokens, lambda token: byte_fallback and _BYTE_TOKEN.fullmatch(token) is not None):
        if is_byte:
            said = [bytes([int(token[3:5], 16)]) for token in run]
            pieces += said if _is_utf8(b"".join(said)) else ["\ufffd".encode()] * len(said)
            before = ["<0x41>"]
            continue
        for token in run:
            pieces.append(decode([*before, token])[len(decode(before)) if before else 0 :].encode())
            before = [token]
    return pieces


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _count_bad(err: UnicodeError) -> tuple[str, int]:
    if not isinstance(err, UnicodeDecodeError):
        raise err
    return chr(_BAD + err.end - err.start), err.end


codecs.register_error("probe.count_bad", _count_bad)


def _characters(data: bytes) -> tuple[str, Int[np.ndarray, "bytes_and_end"]]:
    """The text, bad bytes replaced as `decode` does, and the number of the character that each byte is a part of."""
    marked = data.decode("utf-8", "probe.count_bad")
    codes = np.frombuffer(marked.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.int64)
    sizes = 1 + (codes > 0x7F) + (codes > 0x7FF) + (codes > 0xFFFF)
    sizes = np.where(codes >> 8 == _BAD >> 8, codes - _BAD, sizes)
    text = marked.translate({_BAD + n: "\ufffd" for n in (1, 2, 3)})
    return text, np.append(np.repeat(np.arange(len(codes)), sizes), len(codes))
