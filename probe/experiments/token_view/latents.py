"""How active are a pair's latents at every token of the texts that a page shows? Values and contexts, as an artifact.

    before.parquet, after.parquet   a row a token, as in `PairedTokensJob`: problem, sample, pos, and a column of each
                                    thing that is shown (`beside`: latents, and what stands beside them)
    contexts.json                   by thing: the strongest places, one a problem, with what stands around them
    beside.json                     by thing beside the latents: the rows of its card

A token has the value of the state that predicts it, one place before: there entropies and divergences are taken too,
and there dictionaries were fitted. So the value of an answer's first token is that of the question's last state, where
code and prose part.
"""

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from probe.activations.collect import TOKENS
from probe.activations.shards import Activations
from probe.data import SIDES
from probe.engine.job import Job
from probe.experiments.budget import PROMPT, Work
from probe.experiments.dictionaries.cards import AROUND, CARDS, Read
from probe.experiments.dictionaries.comparisons import RL
from probe.experiments.dictionaries.job import CARDS as CARDS_FILE
from probe.experiments.dictionaries.job import FeaturesJob, Part
from probe.experiments.dictionaries.readings import labels
from probe.experiments.dictionaries.under_models import states_of
from probe.experiments.token_view.beside import Columns, Shown, rows_beside, shown_of
from probe.experiments.token_view.contexts import CONTEXTS, contexts
from probe.experiments.token_view.job import PairedTokensJob, first_texts
from probe.models.loading.loaded import Loaded
from probe.models.sampling.batches import by_length
from probe.store import Recipe, Store, write_atomic, write_table

VERSION = 1
BESIDE_FILE, CONTEXTS_FILE = "beside.json", "contexts.json"


@dataclass(frozen=True)
class LatentTokensJob(Job):
    """The first latents of `features` over the texts of `tokens`."""

    features: FeaturesJob
    tokens: PairedTokensJob
    latents: int = CARDS

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"latents": self.latents, "texts": self.tokens.texts, "contexts": CONTEXTS, "around": AROUND}
        inputs = (self.features.recipe.digest, *(job.recipe.digest for job in self.tokens.sampled))
        return Recipe("latent-tokens", VERSION, params | self.features.pair.spec, inputs)

    @property
    def label(self) -> str:
        return f"{self.features.pair.label} latents token by token"

    @property
    def needs(self) -> tuple[Job, ...]:
        """Also what `features` was made from: its dictionary and its rows are read again."""
        comparisons = self.features.comparisons
        fitted = comparisons.dictionaries[RL]
        read = (self.features, fitted, *fitted.readings, *comparisons.written, *self.tokens.sampled)
        return tuple(dict.fromkeys((*read, *self.features.pair.needs)))

    @property
    def in_process(self) -> bool:
        return self.features.in_process

    @property
    def work(self) -> tuple[Work, ...]:
        """Both sides' texts go through each checkpoint once."""
        texts = min(self.tokens.texts, len(self.tokens.compare.elicitation.problems.problems))
        tokens = len(SIDES) * texts * (PROMPT + self.tokens.compare.options.max_new)
        return tuple(Work(each, read=tokens) for each in self.features.pair.sides.values())

    def make(self, store: Store, work: Path) -> None:
        comparisons, seed = self.features.comparisons, self.features.key.base_seed
        own = Part.read(store, comparisons.dictionaries[RL])
        held = Activations(store.get(comparisons.before.recipe).path)
        known = labels(held, store, comparisons.written)
        shown = shown_of(own, known, self._named(store), self.features.fit.k, seed)
        models = self.features.pair.load(store)
        written = {
            side: first_texts(store, job, self.tokens.texts)
            for side, job in zip(SIDES, self.tokens.sampled, strict=True)
        }
        values = {side: _values(shown, models, rows) for side, rows in written.items()}
        for side, rows in written.items():
            write_table(work / f"{side}.parquet", _table(rows, values[side]))
        spelled = Read.of(held.rows(), known, store, comparisons.written, models[0])
        beside = rows_beside(shown, own, known, models, spelled.said, seed)
        told = {name: [_plain(each.row()) for each in rows] for name, rows in beside}
        _write(work / BESIDE_FILE, told)
        _write(work / CONTEXTS_FILE, contexts(written, values, models[0]))

    def _named(self, store: Store) -> list[int]:
        cards = json.loads(store.get(self.features.recipe).file(CARDS_FILE).read_bytes())
        return [card["latent"] for card in cards][: self.latents]


@torch.no_grad()
def _values(shown: Shown, models: Sequence[Loaded], rows: Sequence[dict[str, Any]]) -> list[Columns]:
    """Of each text, one value a token of its answer."""
    ids = [(*row["prompt_ids"], *row["completion_ids"]) for row in rows]
    found: dict[int, Columns] = {}
    longest = max(map(len, ids), default=1)
    for batch in by_length([len(each) for each in ids], max(1, TOKENS // longest)):
        states = states_of(shown.dictionary, models, [ids[text] for text in batch])[0]
        for text, x in zip(batch, states, strict=True):
            first = len(rows[text]["prompt_ids"]) - 1
            found[text] = shown.columns(x[first : first + len(rows[text]["completion_ids"])])
    return [found[text] for text in range(len(ids))]


def _table(rows: Sequence[dict[str, Any]], values: Sequence[Columns]) -> pa.Table:
    lengths = [len(row["completion_ids"]) for row in rows]
    columns: dict[str, Any] = {
        "problem": np.repeat([row["problem"] for row in rows], lengths).tolist(),
        "sample": pa.array(np.repeat([row["sample"] for row in rows], lengths), pa.int32()),
        "pos": pa.array(np.concatenate([np.arange(n) for n in lengths]), pa.int32()),
    }
    for name in values[0]:
        columns[name] = pa.array(np.concatenate([each[name] for each in values]), pa.float32())
    return pa.table(columns)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """What is no number is null."""
    return {key: None if isinstance(each, float) and not math.isfinite(each) else each for key, each in row.items()}


def _write(file: Path, value: Any) -> None:
    write_atomic(file, json.dumps(value, allow_nan=False).encode())
