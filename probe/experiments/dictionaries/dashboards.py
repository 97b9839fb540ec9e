"""What does a dictionary's every latent do over all rows that it was read on? For files of others (`neuronpedia`).

    rate, most     how often it fires, how strongly at most                   histogram of activations above 0
    contexts       its strongest texts, one a problem: the tokens whose states were read, and its activation at each
    pos, neg       the tokens whose logits a unit raises and lowers most in one model, histogram over all tokens

Here a token has the activation of the state that stands at it. Two passes over the rows: the largest first, then the
bins. Memory: a few numbers a latent, and the rows of a batch.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.activations.shards import Rows as Places
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.sameness import logit_effects
from probe.dictionaries.exchange.neuronpedia import Feature
from probe.dictionaries.fitting.stream import Source
from probe.dictionaries.pair import directions
from probe.experiments.dictionaries.cards import unembedding
from probe.models.loading.loaded import Loaded
from probe.tokens.pieces import alone, pieces

BATCH = 4096  # rows at a time
BINS, CONTEXTS, LOGITS = 20, 5, 10
AMONG = 8 * CONTEXTS  # rows of a latent that its contexts are chosen from
Ids = Callable[[int], tuple[int, ...]]  # of a row's whole text


@dataclass(frozen=True, eq=False)
class Fired:
    """Over all rows: how often each latent fires, where most, and how strongly how often."""

    rate: Float[np.ndarray, "latent"]
    rows: Int[np.ndarray, "latent among"]  # the strongest first
    values: Float[np.ndarray, "latent among"]
    heights: Int[np.ndarray, "latent bin"]

    @property
    def most(self) -> Float[np.ndarray, "latent"]:
        return self.values[:, 0]


def fired(dictionary: Dictionary, source: Source) -> Fired:
    """Read all rows twice."""
    n, kept = len(source), min(AMONG, len(source))
    count = torch.zeros(dictionary.n_latents, dtype=torch.float64)
    best = torch.full((kept, dictionary.n_latents), -torch.inf)
    where = torch.zeros(kept, dictionary.n_latents, dtype=torch.int64)
    for f, rows in _encoded(dictionary, source):
        count += (f > 0).sum(0)
        numbers = torch.from_numpy(rows)[:, None].expand(len(rows), dictionary.n_latents)
        values, order = torch.cat([best, f]).topk(kept, dim=0)
        best, where = values, torch.cat([where, numbers]).gather(0, order)
    top = best[0].clamp(min=1e-9)
    heights = torch.zeros(dictionary.n_latents * BINS, dtype=torch.int64)
    for f, _ in _encoded(dictionary, source):
        row, latent = (f > 0).nonzero(as_tuple=True)
        bins = (f[row, latent] / top[latent] * BINS).long().clamp(max=BINS - 1)
        heights += torch.bincount(latent * BINS + bins, minlength=len(heights))
    parts = (count / n, where.T, best.T.clamp(min=0), heights.view(-1, BINS))
    return Fired(*(part.numpy(force=True) for part in parts))


def features(
    dictionary: Dictionary, found: Fired, side: str, model: Loaded, source: Source, places: Places, ids: Ids
) -> Iterator[Feature]:
    """Every latent as that model has it; one that never fires has no contexts."""
    towards = directions(dictionary, side).float().cpu()
    resid, known = dictionary.site.kind == "resid", dict[int, str]()
    head = unembedding(model) if resid else None
    for j in range(dictionary.n_latents):
        effect = None if head is None else logit_effects(head, towards[j : j + 1])[0].numpy(force=True)
        edges = np.linspace(0, float(found.most[j]), BINS + 1)
        pos, neg, bars = _logits(effect, model, known)
        yield Feature(
            index=j,
            vector=towards[j].tolist(),
            rate=float(found.rate[j]),
            most=float(found.most[j]),
            pos=pos,
            neg=neg,
            fires=(found.heights[j].tolist(), _middles(edges)) if found.most[j] > 0 else ([], []),
            logits=bars,
            contexts=list(_contexts(dictionary, found, j, source, places, ids, model, known)),
        )


def _encoded(dictionary: Dictionary, source: Source) -> Iterator[tuple[Float[Tensor, "row latent"], np.ndarray]]:
    for start in range(0, len(source), BATCH):
        rows = np.arange(start, min(start + BATCH, len(source)))
        yield dictionary.encode(source.read(rows)), rows


Tokens = list[tuple[str, float]]


def _logits(
    effect: np.ndarray | None, model: Loaded, known: dict[int, str]
) -> tuple[Tokens, Tokens, tuple[list[float], list[float]]]:
    """The tokens raised most, lowered most, and the histogram of all."""
    if effect is None:
        return [], [], ([], [])
    order = np.argsort(-effect, kind="stable")
    for token in {*order[:LOGITS].tolist(), *order[-LOGITS:].tolist()} - known.keys():
        known[token] = alone(model.tokenizer, token)
    ends = order[:LOGITS].tolist(), order[::-1][:LOGITS].tolist()
    up, down = ([(known[token], float(effect[token])) for token in tokens] for tokens in ends)
    counts, edges = np.histogram(effect, BINS)
    return up, down, (counts.tolist(), _middles(edges))


def _middles(edges: np.ndarray) -> list[float]:
    return ((edges[1:] + edges[:-1]) / 2).tolist()


def _contexts(
    dictionary: Dictionary, found: Fired, latent: int, source: Source, places: Places, ids: Ids, model: Loaded,
    known: dict[int, str],
) -> Iterator[tuple[Sequence[str], Sequence[float]]]:  # fmt: skip
    """The run of neighbouring rows around each of its strongest, of different problems."""
    seen = set[str]()
    for row, value in zip(found.rows[latent].tolist(), found.values[latent].tolist(), strict=True):
        problem = str(places.problem[row])
        if value <= 0 or len(seen) == CONTEXTS:
            return
        if problem not in seen:
            seen.add(problem)
            run = _run(places, row)
            active = dictionary.encode(source.read(run))[:, latent].tolist()
            at = places.pos[run]
            spelled = pieces(model.tokenizer, ids(row)[int(at[0]) : int(at[-1]) + 1], known)
            yield spelled, active


def _run(places: Places, row: int) -> Int[np.ndarray, "row"]:
    """Rows of one text whose positions follow one another, `row` among them."""
    first = last = row
    while first and _follows(places, first - 1):
        first -= 1
    while last + 1 < len(places) and _follows(places, last):
        last += 1
    return np.arange(first, last + 1)


def _follows(places: Places, row: int) -> bool:
    """Whether the next row is the next position of the same text."""
    same = places.problem[row] == places.problem[row + 1] and places.sample[row] == places.sample[row + 1]
    return bool(same and places.pos[row] + 1 == places.pos[row + 1])
