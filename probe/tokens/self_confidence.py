"""How sure was the model of its answer? From the scores of the answer's tokens, without a word of its own (2507.21931).

    probability   p(y_t)          disparity   p(y_t) - p_(2)         certainty   1 - H_t / log V

p_(2) is the second-highest probability at t, H_t the entropy in nats, V the size of the vocabulary. A response's
confidence is the mean over the tokens of its answer; RLSF ranks the traces of a problem by it. Everything follows from
what `probe.tokens.score` gives of a token. Where y_t is the second choice its disparity is 0; where it is a later one
the table does not hold p_(2): nan, and so is the mean. Greedy text has none of these.
Left out: which tokens are the answer's, and the reward model that RLSF trains on the ranking.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from probe.errors import BadInput

Token = Float[np.ndarray, "token"]


def probability(logprob: Token) -> Token:
    """p of the token that was written. BadInput on log-probs above 0 or missing."""
    return np.exp(_checked(logprob, "logprob", high=1e-6))


def disparity(logprob: Token, margin: Token, rank: Int[np.ndarray, "token"]) -> Token:
    """p of the token less the second-highest p; `margin` is the log of the best p over the second, `rank` from 0."""
    p, lead = probability(logprob), _checked(margin, "margin", low=-1e-6)
    return np.select([np.asarray(rank) == 0, np.asarray(rank) == 1], [p * (1 - np.exp(-lead)), 0.0], np.nan)


def certainty(entropy: Token, vocabulary: int) -> Token:
    """1 for a sure token, 0 for one drawn from all `vocabulary` words alike."""
    if vocabulary < 2:
        raise BadInput(f"a vocabulary of {vocabulary}", where="certainty", do="give the number of words, at least 2")
    return 1 - _checked(entropy, "entropy", low=-1e-6, high=np.log(vocabulary) + 1e-3) / np.log(vocabulary)


def answer_confidence(values: Token, row: np.ndarray, answer: np.ndarray, rows: int) -> Float[np.ndarray, "row"]:
    """Mean of `values` over the tokens of each row's answer, nan for a row without any; all columns `[token]`."""
    sides = np.shape(values), np.shape(row), np.shape(answer)
    if len(set(sides)) != 1:
        raise BadInput(f"columns of the shapes {sides}", where="answer_confidence", do="give one entry per token")
    count = np.bincount(row[answer], minlength=rows)
    total = np.bincount(row[answer], values[answer], minlength=rows)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def ranked(confidence: Float[np.ndarray, "row"], problem: Sequence[Any] | Shaped[np.ndarray, "row"]) -> np.ndarray:
    """Of each response its place among those to its problem, 0 the surest; ties share a place, nan comes last."""
    values, names = np.where(np.isnan(confidence), -np.inf, confidence), np.asarray(problem)
    if values.shape != names.shape or values.ndim != 1:
        raise BadInput(f"{values.shape} confidences of {names.shape} problems", where="ranked", do="give one each")
    places = np.zeros(values.size, dtype=np.int64)
    for name in np.unique(names):
        mine = names == name
        places[mine] = (values[mine][:, None] < values[mine]).sum(1)
    return places


def _checked(values: Token, name: str, low: float = -np.inf, high: float = np.inf) -> Token:
    column = np.asarray(values, dtype=np.float64)
    if np.isnan(column).any() or (column < low).any() or (column > high).any():
        raise BadInput(f"{name} is missing or out of range for a token", where="self confidence", do="score in fp32")
    return column
