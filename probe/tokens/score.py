"""What does this checkpoint make of every token of this text? Teacher-forced, fp32, full vocabulary.

    logprob_t = log p(y_t | x, y_<t)    entropy_t = -sum_v p log p    margin_t = log p_(1) - log p_(2)    rank_t
    kl_t      = sum_v p_before (log p_before - log p_after)

All in nats, softmax at the temperature the text was sampled at. Before and after are compared on the *same* ids by
changing only the scorer; ids are the record and nothing is re-tokenised. Sequences are right-padded (causal attention
needs no mask then), sorted by length, and only completion positions reach the output head. Half-precision logits would
shift an entropy by up to .12 nats, enough to flip a fork, so logits are taken in fp32.
Left out: vocabularies so large that a batch of logits does not fit in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from probe.errors import BadInput


@dataclass(frozen=True)
class TokenScores:
    """One entry per completion token, row by row in the order given."""

    row: Int[np.ndarray, "token"]
    pos: Int[np.ndarray, "token"]
    token: Int[np.ndarray, "token"]
    logprob: Float[np.ndarray, "token"]
    entropy: Float[np.ndarray, "token"]
    margin: Float[np.ndarray, "token"]
    rank: Int[np.ndarray, "token"]


def score(
    model: PreTrainedModel,
    prompts: list[list[int]],
    completions: list[list[int]],
    *,
    temperature: float = 1.0,
    batch: int = 128,
) -> TokenScores:
    """Log-prob, entropy, margin and rank of every completion token under `model`."""
    _check(prompts, completions, temperature)
    columns: dict[int, tuple[np.ndarray, ...]] = {}
    for rows, logp in _log_probs([model], prompts, completions, temperature, batch):
        targets = torch.tensor([t for r in rows for t in completions[r]])
        chosen = logp[0].gather(-1, targets[:, None])
        top = logp[0].topk(2, -1).values
        scores = torch.stack(
            [
                chosen.squeeze(-1),
                -(logp[0].exp() * logp[0]).sum(-1),
                top[:, 0] - top[:, 1],
                (logp[0] > chosen).sum(-1).float(),
            ]
        )
        for r, part in zip(rows, scores.split([len(completions[r]) for r in rows], -1), strict=True):
            columns[r] = tuple(part.numpy())
    lengths = [len(c) for c in completions]
    stacked = [np.concatenate([columns[r][i] for r in range(len(completions))]) for i in range(4)]
    return TokenScores(
        row=np.repeat(np.arange(len(completions)), lengths),
        pos=np.concatenate([np.arange(n) for n in lengths]),
        token=np.array([t for c in completions for t in c]),
        logprob=stacked[0],
        entropy=stacked[1],
        margin=stacked[2],
        rank=stacked[3].astype(np.int64),
    )


def kl(
    before: PreTrainedModel,
    after: PreTrainedModel,
    prompts: list[list[int]],
    completions: list[list[int]],
    *,
    temperature: float = 1.0,
    batch: int = 128,
) -> Float[np.ndarray, "token"]:
    """KL(before || after) of the next-token distribution at every completion token, nats, row by row."""
    _check(prompts, completions, temperature)
    found: dict[int, np.ndarray] = {}
    for rows, (p, q) in _log_probs([before, after], prompts, completions, temperature, batch):
        value = (p.exp() * (p - q)).sum(-1).clamp(min=0.0)  # rounding can make it -1e-8
        for r, part in zip(rows, value.split([len(completions[r]) for r in rows]), strict=True):
            found[r] = part.numpy()
    return np.concatenate([found[r] for r in range(len(completions))])


def _log_probs(
    models: list[PreTrainedModel],
    prompts: list[list[int]],
    completions: list[list[int]],
    temperature: float,
    batch: int,
) -> Iterator[tuple[list[int], list[Float[Tensor, "token d_vocab"]]]]:
    """Batches of rows with each model's log-probs at the positions that predict their completion tokens."""
    by_length = sorted(range(len(prompts)), key=lambda r: len(prompts[r]) + len(completions[r]))
    for start in range(0, len(by_length), batch):
        rows = by_length[start : start + batch]
        longest = len(prompts[rows[-1]]) + len(completions[rows[-1]])
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        predicts = torch.zeros(len(rows), longest, dtype=torch.bool)
        for i, r in enumerate(rows):
            end = len(prompts[r]) + len(completions[r])
            ids[i, :end] = torch.tensor(prompts[r] + completions[r])
            predicts[i, len(prompts[r]) - 1 : end - 1] = True
        with torch.inference_mode():
            hidden = [m.model(input_ids=ids, use_cache=False).last_hidden_state[predicts] for m in models]
            logits = [m.lm_head(h).float() / temperature for m, h in zip(models, hidden, strict=True)]
            yield rows, [torch.log_softmax(x, -1) for x in logits]


def _check(prompts: list[list[int]], completions: list[list[int]], temperature: float) -> None:
    if len(prompts) != len(completions) or not prompts:
        raise BadInput(f"{len(prompts)} prompts and {len(completions)} completions", where="score", do="give one each")
    empty = [i for i, (p, c) in enumerate(zip(prompts, completions, strict=True)) if not p or not c]
    if empty:
        raise BadInput(f"rows {empty[:5]} have no prompt or no completion tokens", where="score", do="drop them")
    if not temperature > 0:
        raise BadInput(f"temperature {temperature} is not positive", where="score", do="score greedy text at T = 1")
