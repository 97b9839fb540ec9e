"""What does this checkpoint make of every token of this text? Teacher-forced, fp32, full vocabulary.

    logprob_t = log p(y_t | x, y_<t)    entropy_t = -sum_v p log p    margin_t = log p_(1) - log p_(2)    rank_t
    kl_t      = sum_v p_before (log p_before - log p_after)

All in nats, softmax at the temperature the text was sampled at. Before and after are compared on the *same* ids by
changing only the scorer; ids are the record and nothing is re-tokenised. To score a prompt, give its first token as the
prompt and the rest as the completion. Sequences are right-padded (causal attention needs no mask then) and go longest
first, in batches of at most TOKENS tokens; one that does not fit into memory is halved. Only the states that predict a
completion token reach the output head, whose logits `probe.tokens.stream` never holds as a whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from probe.errors import BadInput, ProbeError
from probe.models.hooks.anatomy import anatomy, final_hidden
from probe.models.sampling.batches import over_devices
from probe.models.sampling.padding import right_padded
from probe.tokens.stream import Head, stream_kl, stream_scores

TOKENS = 8192  # of a batch, padding included

Texts = list[list[int]]


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
    model: PreTrainedModel, prompts: Texts, completions: Texts, *, temperature: float = 1.0, batch: int = 128
) -> TokenScores:
    """Log-prob, entropy, margin and rank of every completion token under `model`, at most `batch` rows at a time."""
    check_texts([model], prompts, completions, temperature)
    head = head_of(model)

    def columns(rows: list[int]) -> Float[Tensor, "4 token"]:
        hidden = predicting(model, prompts, completions, rows)
        targets = torch.tensor([t for r in rows for t in completions[r]])
        return torch.stack([x.float() for x in stream_scores(hidden, head, targets, temperature=temperature)])

    logprob, entropy, margin, rank = in_batches(columns, prompts, completions, batch)
    lengths = [len(c) for c in completions]
    return TokenScores(
        row=np.repeat(np.arange(len(completions)), lengths),
        pos=np.concatenate([np.arange(n) for n in lengths]),
        token=np.array([t for c in completions for t in c]),
        logprob=logprob,
        entropy=entropy,
        margin=margin,
        rank=rank.astype(np.int64),
    )


def kl(
    before: PreTrainedModel,
    after: PreTrainedModel,
    prompts: Texts,
    completions: Texts,
    *,
    temperature: float = 1.0,
    batch: int = 128,
) -> Float[np.ndarray, "token"]:
    """KL(before || after) of the next-token distribution at every completion token, nats, row by row."""
    check_texts([before, after], prompts, completions, temperature)
    heads = head_of(before), head_of(after)

    def column(rows: list[int]) -> Float[Tensor, "1 token"]:
        p, q = (predicting(model, prompts, completions, rows) for model in (before, after))
        return stream_kl(p, heads[0], q, heads[1], temperature=temperature)[None].float()

    return in_batches(column, prompts, completions, batch)[0]


def head_of(model: PreTrainedModel) -> Head:
    """The output head, its weights in place."""
    parts = anatomy(model)
    return Head(parts.head_weight, parts.head_bias, parts.softcap, parts.scale)


def in_batches(
    columns: Callable[[list[int]], Float[Tensor, "column token"]], prompts: Texts, completions: Texts, batch: int
) -> Float[np.ndarray, "column all"]:
    """`columns` of some rows at a time, put together in the order of the rows."""

    def run(_: None, rows: list[int]) -> Sequence[Float[np.ndarray, "column token"]]:
        scores = columns(rows).cpu().numpy()
        ends = np.cumsum([len(completions[r]) for r in rows])
        return np.split(scores, ends[:-1], axis=1)

    lengths = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    with torch.inference_mode():
        scores = np.concatenate(over_devices([None], _batches(lengths, batch), run, lengths=lengths), axis=1)
    if not np.isfinite(scores).all():
        row = int(np.repeat(np.arange(len(completions)), [len(c) for c in completions])[~np.isfinite(scores).all(0)][0])
        do = "check the weights; a model made for bfloat16 can overflow in float16"
        raise ProbeError("the model's predictions are not numbers", where=f"score, row {row}", do=do)
    return scores


def _batches(lengths: list[int], batch: int) -> list[list[int]]:
    """Rows longest first, at most `batch` and, padded to the longest of them, TOKENS tokens together; at least one."""
    batches: list[list[int]] = []
    room = 0
    for row in sorted(range(len(lengths)), key=lambda r: -lengths[r]):
        if room == 0:
            room = max(1, min(batch, TOKENS // lengths[row]))
            batches.append([])
        batches[-1].append(row)
        room -= 1
    return batches


def predicting(
    model: PreTrainedModel, prompts: Texts, completions: Texts, rows: list[int]
) -> Float[Tensor, "token d_model"]:
    """The final states that predict the completion tokens, row by row."""
    embedding = model.get_input_embeddings().weight
    ids, _ = right_padded(
        [prompts[r] + completions[r] for r in rows], 0, "cpu" if embedding.is_meta else embedding.device
    )
    predicts = torch.zeros(ids.shape, dtype=torch.bool)
    for i, r in enumerate(rows):
        predicts[i, len(prompts[r]) - 1 : len(prompts[r]) + len(completions[r]) - 1] = True
    hidden = final_hidden(model, ids)
    return hidden[predicts.to(hidden.device)]


def check_texts(models: list[PreTrainedModel], prompts: Texts, completions: Texts, temperature: float) -> None:
    """BadInput unless every text has tokens on both sides, known to every model, and the temperature is positive."""
    if len(prompts) != len(completions) or not prompts:
        raise BadInput(f"{len(prompts)} prompts and {len(completions)} completions", where="score", do="give one each")
    empty = [i for i, (p, c) in enumerate(zip(prompts, completions, strict=True)) if not p or not c]
    if empty:
        raise BadInput(f"rows {empty[:5]} have no prompt or no completion tokens", where="score", do="drop them")
    if not temperature > 0:
        raise BadInput(f"temperature {temperature} is not positive", where="score", do="score greedy text at T = 1")
    words = min(model.get_input_embeddings().weight.shape[0] for model in models)
    ends = (f(f(ids) for ids in (*prompts, *completions)) for f in (min, max))
    for token in ends:
        if not 0 <= token < words:
            do = "score text of the same tokenizer"
            raise BadInput(f"token {token} is outside of a vocabulary of {words}", where="score", do=do)
