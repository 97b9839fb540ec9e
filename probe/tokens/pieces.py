"""What does each token spell, so that the pieces put together are the text? Ids are the record, pieces are for readers.

A byte-level tokenizer may cut a letter into several tokens, none of which spells anything: the first of them then
stands for what they spell together, and the others for nothing. Where a tokenizer decodes a single token without the
space that it stands for ("▁so"), the space is put back.
"""

from collections.abc import Sequence
from itertools import groupby

from transformers import PreTrainedTokenizerBase

BROKEN = "\N{REPLACEMENT CHARACTER}"
SPACE = "▁"  # how sentencepiece writes one


def pieces(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], known: dict[int, str] | None = None) -> list[str]:
    """One text a token; `known` remembers what tokens spell alone."""
    spelled = {} if known is None else known
    for each in set(ids) - spelled.keys():
        spelled[each] = alone(tokenizer, each)
    found: list[str] = []
    for broken, run in groupby(ids, key=lambda each: BROKEN in spelled[each]):
        together = list(run)
        if broken and len(together) > 1:
            found += [_decoded(tokenizer, together), *[""] * (len(together) - 1)]
        else:
            found += [spelled[each] for each in together]
    return found


def alone(tokenizer: PreTrainedTokenizerBase, token: int) -> str:
    """What one token spells by itself; an id that the tokenizer does not know spells its number."""
    if token >= len(tokenizer):
        return f"<{token}>"
    text, form = _decoded(tokenizer, [token]), tokenizer.convert_ids_to_tokens(token)
    stands_for_space = isinstance(form, str) and form.startswith(SPACE) and not text.startswith(" ")
    return f" {text}" if stands_for_space else text


def _decoded(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
