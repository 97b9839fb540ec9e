"""Which positions of a checkpoint's own answers are read?

    prompt   the last position of the question, before any token is written                       one a problem
    end      the last position before the answer ends (that which predicts its last token)         one a response
    tokens   positions that predict the tokens of the first response, at most MOST of them         many a problem

Where a response has more than MOST tokens, an addressed draw says which are read.
"""

from typing import Any

from probe.activations.collect import Text
from probe.rng import numpy_rng

MOST = 64  # tokens of a problem's first response


def text_of(row: dict[str, Any]) -> Text:
    """One rollout, and the positions to be read of it."""
    last, n = len(row["prompt_ids"]) - 1, len(row["completion_ids"])
    wanted = {last + n - 1}
    if row["sample"] == 0:
        wanted |= {last} | {last + t for t in tokens_read(n, row["problem"])}
    ids = tuple(row["prompt_ids"]) + tuple(row["completion_ids"])
    return Text(row["problem"], row["sample"], ids, tuple(sorted(wanted)))


def tokens_read(n: int, problem: str) -> list[int]:
    """Tokens of a response of `n`, by number."""
    if n <= MOST:
        return list(range(n))
    chosen: list[int] = numpy_rng("tokens read", problem).choice(n, MOST, replace=False).tolist()
    return chosen
