"""Both models' scores of every token as columns of a page: PAIRED (`probe.data`) -> one list a column.

    texts      problem and sample of each text, and where its tokens start
    piece      of each token its place in `pieces`
    surprise   -log p of the token, entropy, kl     nats (`probe.pages.pack.Nats`)
    rank       0: the first choice                  fork   1: of before, 2: of after, 3: of both
    others     of each token how many other choices are told, and these one behind another: piece, surprise

Other choices are told that either model gives SEEN at least, where they matter most: the highest entropy under either
model first, until OTHERS are told. A token that both are sure of has none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from probe.data import SIDES
from probe.pages.pack import Both, Nats, Texts, Whole, offsets

SEEN = 0.001  # probability
OTHERS = 100_000  # choices that a page tells in all, of each side's texts


def told(table: pa.Table, places: Mapping[str, int]) -> dict[str, Any]:
    """The columns of one side's texts; `places` of the problems in the page."""
    starts = np.flatnonzero(table["pos"].to_numpy() == 0)
    which = table.select(["problem", "sample"]).take(starts).to_pylist()
    kept, lengths = _kept(table)
    others = {name: _flat(table, f"other_{name}").filter(pa.array(kept)) for name in ("piece", *SIDES)}
    known = pc.unique(pa.chunked_array([*table["piece"].chunks, *others["piece"].chunks]))
    return {
        "texts": [{"problem": places[row["problem"]], "sample": row["sample"]} for row in which],
        "starts": Whole(np.append(starts, table.num_rows)),
        "pieces": Texts(known.to_pylist()),
        "piece": Whole(_codes(table["piece"], known)),
        "surprise": Both(*(_nats(-table[f"logprob_{side}"].to_numpy()) for side in SIDES)),
        "entropy": Both(*(_nats(table[f"entropy_{side}"].to_numpy()) for side in SIDES)),
        "rank": {side: Whole(table[f"rank_{side}"].to_numpy()) for side in SIDES},
        "kl": _nats(table["kl"].to_numpy()),
        "fork": Whole(_flags(table["fork_before"]) + 2 * _flags(table["fork_after"])),
        "others": {
            "tokens": int((lengths > 0).sum()),
            "count": Whole(lengths),
            "piece": Whole(_codes(others["piece"], known)),
            "surprise": Both(*(_nats(-others[side].to_numpy()) for side in SIDES)),
        },
    }


def first_texts(table: pa.Table, most: int) -> pa.Table:
    """The tokens of the first `most` texts."""
    ends = offsets(np.diff(np.append(np.flatnonzero(table["pos"].to_numpy() == 0), table.num_rows)).tolist())
    return table.slice(0, int(ends[min(most, len(ends) - 1)]))


def _kept(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Which of all choices are told [choice], bool, and how many of each token [token]."""
    best = np.maximum(*(_flat(table, f"other_{side}").to_numpy() for side in SIDES))
    token = np.repeat(np.arange(table.num_rows), pc.list_value_length(table["other"]).to_numpy())
    seen = best >= np.log(SEEN)
    sizes = np.bincount(token[seen], minlength=table.num_rows)
    first = (table["rank_before"].to_numpy() == 0) & (table["rank_after"].to_numpy() == 0)
    sizes[first & (sizes == 1)] = 0  # it was sure to be written: there is no other choice
    unsure = np.maximum(*(table[f"entropy_{side}"].to_numpy() for side in SIDES))
    order = np.argsort(-unsure, kind="stable")
    sizes[order[np.cumsum(sizes[order]) > OTHERS]] = 0
    return seen & (sizes[token] > 0), sizes


def _flat(table: pa.Table, name: str) -> pa.ChunkedArray:
    chunks: Sequence[pa.Array] = [chunk.flatten() for chunk in table[name].chunks]
    return pa.chunked_array(chunks, table.schema.field(name).type.value_type)


def _codes(values: pa.ChunkedArray, known: pa.Array) -> np.ndarray:
    return np.asarray(pc.index_in(values, known).to_numpy(), dtype=np.int64)


def _nats(values: np.ndarray) -> Nats:
    return Nats(np.maximum(values.astype(np.float64), 0.0))


def _flags(values: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(values.to_numpy(), dtype=np.int64)
