"""TOKENS: what one scorer makes of one text, as a table. Ids are the record; nothing is tokenised again."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from probe.data import TOKENS
from probe.errors import BadInput
from probe.models.loading.loaded import Loaded
from probe.tokens.score import TokenScores, score

Rollouts = Sequence[dict[str, Any]]  # rows of ROLLOUTS


def token_table(rows: Rollouts, scores: TokenScores, generator: str, scorer: str, loaded: Loaded) -> pa.Table:
    """TOKENS of one scorer; a token's span is what it spells."""
    n = len(scores.row)
    columns = {
        "generator": [generator] * n,
        "scorer": [scorer] * n,
        "problem": [rows[r]["problem"] for r in scores.row.tolist()],
        "sample": [rows[r]["sample"] for r in scores.row.tolist()],
        **{k: getattr(scores, k) for k in ("pos", "token", "logprob", "entropy", "margin", "rank")},
        "span": loaded.tokenizer.convert_ids_to_tokens(scores.token.tolist()),
    }
    return pa.table({name: columns[name] for name in TOKENS.names}, schema=TOKENS)


def ids_of(rows: Rollouts) -> tuple[list[list[int]], list[list[int]]]:
    """Prompts and completions, row by row."""
    return [row["prompt_ids"] for row in rows], [row["completion_ids"] for row in rows]


def score_rollouts(rows: Rollouts, loaded: Loaded, scorer: str, where: str) -> pa.Table:
    """TOKENS of the rows under a checkpoint, at the temperature they were sampled at (greedy: 1)."""
    prompts, completions = ids_of(rows)
    tokens = [token for ids in (*prompts, *completions) for token in ids or ()]
    size = loaded.model.get_input_embeddings().weight.shape[0]
    if not tokens or min(tokens) < 0 or max(tokens) >= size:
        do = "score with a checkpoint of the same vocabulary"
        raise BadInput(f"token ids outside the scorer's vocabulary of {size}", where=where, do=do)
    scores = score(loaded.model, prompts, completions, temperature=rows[0]["temperature"] or 1.0)
    return token_table(rows, scores, rows[0]["checkpoint"], scorer, loaded)
