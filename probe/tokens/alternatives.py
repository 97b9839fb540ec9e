"""What else could have been written at each token? The first choices of two models, with both models' probabilities.

    ids [token 2k]   the k likeliest tokens of before, the likeliest first, then those of after; one may be among both
    before, after    log p(id | x, y_<t) under each, nats, softmax at the temperature the text was sampled at

What is looked up under one model is chosen by the other, so logits are held as a whole (fp32), for as many tokens at a
time as LOGITS allow. Left out: choices of a single model (`cot_decoding.first_tokens`).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from probe.errors import BadInput
from probe.models.hooks.anatomy import Anatomy, anatomy
from probe.tokens.score import Texts, check_texts, in_batches, predicting

CHOICES = 5  # of each model
LOGITS = 2**25  # of one model at a time: 128 MB


@dataclass(frozen=True)
class Alternatives:
    """Row by row in the order given, one entry a completion token."""

    ids: Int[np.ndarray, "token choice"]
    before: Float[np.ndarray, "token choice"]
    after: Float[np.ndarray, "token choice"]


def alternatives(
    before: PreTrainedModel,
    after: PreTrainedModel,
    prompts: Texts,
    completions: Texts,
    *,
    k: int = CHOICES,
    temperature: float = 1.0,
    batch: int = 128,
) -> Alternatives:
    """The first choices of both at every completion token. BadInput where `k` is no part of the vocabulary."""
    check_texts([before, after], prompts, completions, temperature)
    words = min(model.get_input_embeddings().weight.shape[0] for model in (before, after))
    if not 1 <= k <= words:
        raise BadInput(f"{k} choices of {words} words", where="alternatives", do=f"give 1 to {words}")
    heads = anatomy(before), anatomy(after)

    def columns(rows: list[int]) -> Float[Tensor, "column token"]:
        p, q = (predicting(model, prompts, completions, rows) for model in (before, after))
        few = max(1, LOGITS // words)
        parts = zip(p.split(few), q.split(few), strict=True)
        return torch.cat([_both(heads, pair, k, temperature) for pair in parts], dim=1)

    found = in_batches(columns, prompts, completions, batch).T
    ids, first, second = np.split(found, 3, axis=1)
    return Alternatives(ids.astype(np.int64), first, second)


def _both(
    heads: tuple[Anatomy, Anatomy], states: tuple[Tensor, Tensor], k: int, temperature: float
) -> Float[Tensor, "column token"]:
    """Ids, then log-probs under before, then under after; ids are exact in fp32 up to 2^24."""
    logs = [
        torch.log_softmax(head.logits(state).float() / temperature, -1).cpu()
        for head, state in zip(heads, states, strict=True)
    ]
    ids = torch.cat([each.topk(k).indices for each in logs], dim=-1)
    return torch.cat([ids.float(), *(each.gather(-1, ids) for each in logs)], dim=-1).T
