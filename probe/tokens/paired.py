"""What do two checkpoints make of every token of one text? Scores of both side by side, one row a token.

    PAIRED (`probe.data`): log-prob, entropy and rank of each (`probe.tokens.score`), KL(before || after), whether it is
    one of each model's forks on these texts (`probe.tokens.forks`), and what either would have written (`alternatives`)

Beside TOKENS, whose tables are of one scorer and stay as they are.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from probe.data import PAIRED, SIDES
from probe.models.loading.loaded import Loaded
from probe.tokens.alternatives import CHOICES, Alternatives, alternatives
from probe.tokens.forks import forks
from probe.tokens.pieces import alone, pieces
from probe.tokens.score import kl, score
from probe.tokens.table import Rollouts, ids_of


def paired_tokens(
    rows: Rollouts, before: Loaded, after: Loaded, *, temperature: float = 1.0, choices: int = CHOICES, batch: int = 128
) -> pa.Table:
    """PAIRED of the completions of ROLLOUTS rows, row by row. BadInput where there are none, or one is empty."""
    prompts, completions = ids_of(rows)
    at: dict[str, Any] = {"temperature": temperature, "batch": batch}
    scores = [score(each.model, prompts, completions, **at) for each in (before, after)]
    first = scores[0]
    known: dict[int, str] = {}
    columns: dict[str, Any] = {
        "problem": [rows[r]["problem"] for r in first.row.tolist()],
        "sample": [rows[r]["sample"] for r in first.row.tolist()],
        "pos": first.pos,
        "token": first.token,
        "piece": [piece for ids in completions for piece in pieces(after.tokenizer, ids, known)],
        "kl": kl(before.model, after.model, prompts, completions, **at),
    }
    for side, each in zip(SIDES, scores, strict=True):
        columns |= {f"{name}_{side}": getattr(each, name) for name in ("logprob", "entropy", "rank")}
        columns[f"fork_{side}"] = forks(each.entropy)
    found = alternatives(before.model, after.model, prompts, completions, k=choices, **at)
    columns |= _others(found, after, known)
    return pa.table({name: columns[name] for name in PAIRED.names}, schema=PAIRED)


def _others(found: Alternatives, loaded: Loaded, known: dict[int, str]) -> dict[str, list[list[Any]]]:
    """The columns of the choices, each once, the likelier under either model first."""
    kept = [list(_once(ids)) for ids in found.ids.tolist()]
    best = np.maximum(found.before, found.after)
    order = [sorted(places, key=lambda place: -row[place]) for places, row in zip(kept, best.tolist(), strict=True)]

    def taken(table: np.ndarray) -> list[list[Any]]:
        return [[row[place] for place in places] for places, row in zip(order, table.tolist(), strict=True)]

    ids = taken(found.ids)
    for token in {token for row in ids for token in row} - known.keys():
        known[token] = alone(loaded.tokenizer, token)
    spelled = [[known[token] for token in row] for row in ids]
    return {
        "other": ids,
        "other_piece": spelled,
        "other_before": taken(found.before),
        "other_after": taken(found.after),
    }


def _once(ids: Sequence[int]) -> Iterator[int]:
    """The first place of each id."""
    return iter({token: place for place, token in reversed(list(enumerate(ids)))}.values())
