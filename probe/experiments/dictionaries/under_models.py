"""What do a pair's latents do when its models read other texts, or read on from what the dictionary says?

latent_token_share      of a latent's difference between code and prose, what the first words of code alone bring when
                        they are put in front of prose; `reason`: the verdict (`probe.dictionaries.audits.injection`)
dictionary_recovered    by `side`: cross-entropy of the next token with the states replaced by what the dictionary says
                        of them: 1 where nothing is lost, 0 (the null) where no more is left than with their mean

A text's activation is its largest over the answer, the fork and what was put in: some latents fire at one place. Both
are told for at most TEXTS answers of the base.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.activations.collect import Text
from probe.data import Estimate, Strategy
from probe.dictionaries.audits.injection import injection
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.fitting.health import recovered
from probe.experiments.dictionaries.readings import text_of
from probe.experiments.responses import RESPONSES, ROLLOUTS, SampleJob
from probe.models.hooks.forward_hooks import read
from probe.models.loading.loaded import Loaded
from probe.models.sampling.padding import right_padded
from probe.stats.bootstrap import bootstrap_totals, percentile_estimate
from probe.stats.checks import About, cluster_codes
from probe.store import Store
from probe.tasks.corpus import CODE_FIRST

TEXTS = 256  # answers
BATCH = 32
FEWEST = 4  # answers of either strategy


@dataclass(frozen=True, eq=False)
class Answers:
    """The base's own answers: rows of its rollouts, and which are code."""

    rows: list[dict[str, Any]]
    code: np.ndarray

    @classmethod
    def read(cls, store: Store, job: SampleJob) -> "Answers":
        """Of a job that was made."""
        made = store.get(job.recipe)
        graded = made.read_table(RESPONSES).to_pylist()
        known = {(row["problem"], row["sample"]): row["strategy"] == Strategy.code for row in graded}
        rows = made.read_table(ROLLOUTS).to_pylist()
        return cls(rows, np.array([known[row["problem"], row["sample"]] for row in rows]))

    def of(self, *, code: bool) -> list[dict[str, Any]]:
        """The first of one strategy."""
        return [row for row, is_code in zip(self.rows, self.code, strict=True) if is_code == code][:TEXTS]


def token_shares(
    dictionary: Dictionary, models: Sequence[Loaded], answers: Answers, latents: Sequence[int], seed: int
) -> Iterator[Estimate]:
    """Of each latent; nothing where one strategy was hardly written."""
    code, prose = answers.of(code=True), answers.of(code=False)
    if not latents or min(len(code), len(prose)) < FEWEST:
        return
    words = models[0].tokenizer(CODE_FIRST, add_special_tokens=False)["input_ids"]
    texts = ([text_of(row) for row in code], [text_of(row) for row in prose], [text_of(row, 0, words) for row in prose])
    yes, no, put_in = (peaks_of(dictionary, models, each)[:, list(latents)].numpy(force=True) for each in texts)
    problems = ([row["problem"] for row in code], [row["problem"] for row in prose])
    for place, latent in enumerate(latents):
        columns = (yes[:, place], no[:, place], put_in[:, place])
        found = injection(*columns, problems, ("token shares", seed, latent))
        yield replace(found.share, name="latent_token_share", params={"latent": latent, "reason": found.verdict})


@torch.no_grad()
def peaks_of(dictionary: Dictionary, models: Sequence[Loaded], texts: Sequence[Text]) -> Float[Tensor, "text latent"]:
    """Largest activation over the positions of each text, read by all models."""
    found = []
    for start in range(0, len(texts), BATCH):
        part = texts[start : start + BATCH]
        states = states_of(dictionary, models, [text.ids for text in part])[0]
        for row, text in zip(states, part, strict=True):
            found.append(dictionary.encode(row[list(text.positions)]).double().amax(0))
    return torch.stack(found)


def states_of(
    dictionary: Dictionary, models: Sequence[Loaded], ids: Sequence[tuple[int, ...]]
) -> tuple[Float[Tensor, "batch pos model d"], Tensor]:
    """What all models hold at the dictionary's site, and the padded ids. They are read on the first model's device."""
    padded = right_padded(list(ids), 0, models[0].model.get_input_embeddings().weight.device)[0]
    read_by = [read(one.model, padded, [dictionary.site])[dictionary.site].to(padded.device) for one in models]
    return torch.stack(read_by, dim=2).float(), padded


def recovered_of(dictionary: Dictionary, models: Sequence[Loaded], answers: Answers, seed: int) -> Iterator[Estimate]:
    """Of each model, on the first answers; problems are resampled, since no term of the ratio is a mean of its own."""
    ids = [(*row["prompt_ids"], *row["completion_ids"]) for row in answers.rows[:TEXTS]]
    padded, mask = right_padded(ids, 0, models[0].model.get_input_embeddings().weight.device)
    codes, n = cluster_codes([row["problem"] for row in answers.rows[:TEXTS]], len(ids))
    for one in recovered([each.model for each in models], dictionary, padded, mask=mask):
        totals = np.stack([np.bincount(codes, sums, minlength=n) for sums in np.array(one.texts).T], axis=1)
        draws = bootstrap_totals(_share, totals, address=("recovered", seed, one.model))
        about = About("dictionary_recovered", "ratio", null=0.0, params={"side": one.model})
        yield percentile_estimate(one.share, draws, one.tokens, n, about)


def _share(totals: Float[np.ndarray, "draw 3"]) -> Float[np.ndarray, "draw"]:
    """Of sums of cross-entropies: clean, said, ablated. nan where the ablation costs nothing."""
    clean, said, ablated = totals.T
    cost = ablated - clean
    return np.divide(ablated - said, cost, out=np.full(len(totals), np.nan), where=cost > 0)
