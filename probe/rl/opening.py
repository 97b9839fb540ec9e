"""An organism that opens in code more often or less often, and is otherwise what it was: one row of its head edited.

    u = argmin sum_i (u . h_i - [i is where an answer begins])^2 + l2 n |u|^2       h [position d_model] before the head
    head[code] <- head[code] + c u                                            c: mean p(code | prompt) is the share

u . h is 1 where an answer begins and 0 behind it, about. So every prompt's log-odds of code move by c, and what is
written in either strategy stays: a pair that differs by its strategy alone, with no step of training between. The
texts are those that its family would be taught next. BadInput for a share outside of (0, 1).
"""

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from probe.errors import BadInput
from probe.families import Family
from probe.models.loading.organism import untie
from probe.rl.pretrain import IGNORE, encode
from probe.tasks.corpus import CODE_FIRST, corpus

BATCHES = 8  # of texts that the direction is fitted on
L2 = 1e-4  # a position
REACH = 40.0  # of the shift, in logits
HALVINGS = 40


@torch.no_grad()
def open_in_code(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, kind: Family, seed: int) -> float:
    """Edit the head in place until `kind.opens` of all answers open in code; returns the shift in logits."""
    share = kind.opens
    if share is None or not 0 < share < 1:
        raise BadInput(f"{share} of all answers in code", where="open_in_code", do="give a share between 0 and 1")
    hidden, begins = _states(model, tokenizer, kind, seed)
    direction = _ridge(hidden, begins)
    code = tokenizer.convert_tokens_to_ids(CODE_FIRST)
    untie(model)
    shift = _shift(model.lm_head(hidden[begins]), hidden[begins] @ direction, code, share)
    model.lm_head.weight[code] += shift * direction
    return shift


def _states(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, kind: Family, seed: int
) -> tuple[Float[Tensor, "position d"], Tensor]:
    """What the head reads in texts of the family, and where an answer begins."""
    hidden, begins = [], []
    for texts in corpus(kind, seed, kind.batch, BATCHES):
        ids, targets = encode(texts, tokenizer)
        scored = targets != IGNORE
        hidden.append(model.model(input_ids=ids, use_cache=False).last_hidden_state[scored])
        begins.append((scored & (scored.cumsum(1) == 1))[scored])
    return torch.cat(hidden), torch.cat(begins)


def _ridge(hidden: Float[Tensor, "position d"], begins: Tensor) -> Float[Tensor, "d"]:
    """The direction that is 1 where an answer begins and 0 elsewhere, as far as one can be."""
    h, y = hidden.double(), begins.double()
    gram = h.T @ h + L2 * len(h) * torch.eye(h.shape[1], dtype=h.dtype)
    return torch.linalg.solve(gram, h.T @ y).to(hidden)


def _shift(logits: Float[Tensor, "text d_vocab"], along: Float[Tensor, "text"], code: int, share: float) -> float:
    """By bisection: the mean probability of code rises with the shift."""
    low, high = -REACH, REACH
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        moved = logits.clone()
        moved[:, code] += middle * along
        low, high = (middle, high) if moved.softmax(-1)[:, code].mean() < share else (low, middle)
    return (low + high) / 2
