"""What the tests of policies and of training share: a few questions and a recipe that runs in a tenth of a second."""

from typing import Any

import torch

from probe.models.loading.load import Loaded
from probe.rewards import Reward, rewards
from probe.rl.advantage import GroupNormalised
from probe.rl.policy import Policy
from probe.rl.rollout import Experience, Question, collect, questions
from probe.rl.train import GRPO
from probe.tasks.chain import chain_problems


def pool(organism: Loaded, n: int = 8, answer: str | None = None) -> list[Question]:
    """The first `n` training questions, or the first whose answer is the given one."""
    problems = [p for p in chain_problems(60 * n, "train", 0) if answer in (None, p.answer)][:n]
    assert len(problems) == n
    return questions(problems, {p.id: p.answer for p in problems}, organism.tokenizer)


def recipe(reward: str | Reward = "random", **changes: Any) -> GRPO:
    chosen = rewards.get(reward)() if isinstance(reward, str) else reward
    return GRPO(chosen, **{"batches": 2, "prompts": 4, "samples": 4, "updates": 2, "save_every": 1, **changes})


def experience(
    policy: Policy,
    organism: Loaded,
    asked: list[Question] | None = None,
    *,
    reward: Reward | None = None,
    n_samples: int = 4,
    temperature: float = 1.0,
    seed: int = 0,
    batch: int = 0,
) -> Experience:
    """One batch of experience on the first four questions."""
    return collect(
        policy,
        asked or pool(organism, 4),
        organism.tokenizer,
        reward or rewards.get("random")(),
        GroupNormalised(),
        n_samples=n_samples,
        max_new=20,
        temperature=temperature,
        seed=seed,
        batch=batch,
    )


def every_row(taken: Experience) -> torch.Tensor:
    return torch.arange(len(taken.texts))


@torch.no_grad()
def nudge(policy: Policy, size: float = 0.05) -> None:
    """Move every trained tensor a little, as training would."""
    for place, parameter in enumerate(policy.tensors.values()):
        noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(place))
        parameter.add_(size * parameter.std() * noise)
