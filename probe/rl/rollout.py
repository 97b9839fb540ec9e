"""One batch of experience: prompts drawn, responses sampled, scored and turned into advantages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from probe.data import Problem
from probe.models.sampling.organism_sampler import Samples
from probe.rewards import Reward
from probe.rl.advantage import Advantage, Advantages, RewardTable
from probe.rl.faults import full_memory_told, scored
from probe.rl.policy import Policy, Scorer, token_scores
from probe.rng import numpy_rng, uniforms


@dataclass(frozen=True)
class Experience:
    """`rows` = prompts x samples, prompt by prompt. `old_logprob` and `old_entropy` were captured while sampling.

    `right` says of every response whether its answer is the true one; None: spelled as in the box (organisms).
    """

    problems: tuple[Problem, ...]
    prompt_ids: list[list[int]]
    samples: Samples
    texts: list[str]
    rewards: RewardTable
    advantages: Advantages
    right: tuple[bool, ...] | None = None
    batch: int = 0  # of its run


@runtime_checkable
class Reader(Protocol):
    """Reads responses of weights from outside: as text, and against the true answers."""

    def texts(self, samples: Samples) -> list[str]: ...

    def right(self, texts: list[str], golds: list[str]) -> list[bool]: ...


@dataclass(frozen=True)
class Question:
    """A training problem with its tokens and the label its reward compares with."""

    problem: Problem
    ids: list[int]
    label: str


def questions(
    problems: Sequence[Problem], labels: dict[str, str], tokenizer: PreTrainedTokenizerBase
) -> list[Question]:
    """Each problem with the ids of its prompt and its label, by its id in `labels`."""
    ids = tokenizer([p.prompt for p in problems])["input_ids"]
    return [Question(p, i, labels[p.id]) for p, i in zip(problems, ids, strict=True)]


def draw_questions(pool: list[Question], n: int, seed: int, batch: int) -> list[Question]:
    """`n` questions for one batch; without replacement where the pool is large enough."""
    chosen = numpy_rng("train prompts", seed, batch).choice(len(pool), size=n, replace=n > len(pool))
    return [pool[i] for i in chosen.tolist()]


def row_addresses(asked: list[Question], n_samples: int, batch: int) -> list[tuple[int, int, str, int]]:
    """Where each row's random draws lie. The slot keeps two copies of one problem in one batch apart."""
    return [(batch, slot, q.problem.id, s) for slot, q in enumerate(asked) for s in range(n_samples)]


def collect(
    policy: Policy,
    asked: list[Question],
    tokenizer: PreTrainedTokenizerBase | Reader,
    reward: Reward,
    advantage: Advantage,
    *,
    n_samples: int,
    max_new: int,
    temperature: float,
    seed: int,
    batch: int,
) -> Experience:
    """Sample `n_samples` responses to each question and score them. Every draw is addressed by (seed, row)."""
    places = row_addresses(asked, n_samples, batch)
    draws = torch.stack([torch.from_numpy(uniforms(max_new, "rollout", seed, *place)) for place in places])
    prompt_ids = [q.ids for q in asked]
    with full_memory_told("sampling", batch):
        samples = policy.sample(prompt_ids, draws, n_samples=n_samples, temperature=temperature)
    texts = tokenizer.texts(samples) if isinstance(tokenizer, Reader) else decode_texts(samples, tokenizer)
    owners = [q for q in asked for _ in range(n_samples)]
    about: dict[str, Sequence[Any]] = {
        "prompts": [q.problem.prompt for q in owners],
        "completions": texts,
        "answers": [q.label for q in owners],
        "group": [place[1] for place in places],
        "address": [(seed, *place) for place in places],
    }
    table = scored(reward, about, n_samples, batch)
    owned = tuple(q.problem for q in asked)
    made = Experience(owned, prompt_ids, samples, texts, table, advantage(table), batch=batch)
    if not isinstance(tokenizer, Reader):
        return made
    return replace(made, right=tuple(tokenizer.right(texts, [q.problem.answer for q in owners])))


def decode_texts(samples: Samples, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Each response as text, without its stop token."""
    rows = [row[:n] for row, n in zip(samples.ids.tolist(), samples.lengths.tolist(), strict=True)]
    return tokenizer.batch_decode(rows, skip_special_tokens=True)


def score(
    policy: Policy | Scorer, experience: Experience, rows: Tensor, temperature: float, *, entropy: bool = True
) -> tuple[Float[Tensor, "batch pos"], Float[Tensor, "batch pos"]]:
    """What the policy now makes of `rows`: log-prob (with gradient) and entropy of each completion token.

    Without `entropy` a policy may leave that out.
    """
    if isinstance(policy, Scorer):
        return policy.score(experience.prompt_ids, experience.samples, rows, temperature, entropy=entropy)
    logits = policy.logits(experience.prompt_ids, experience.samples, rows)
    return token_scores(logits, experience.samples, rows, temperature)
