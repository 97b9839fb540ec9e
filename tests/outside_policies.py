"""What the tests of training on any causal LM share: random models of real shapes, questions, a batch."""

import copy
from typing import Any

import torch
from outside_checkpoints import byte_tokenizer, tiny

from probe.data import Problem
from probe.models.loading.load import Loaded
from probe.models.sampling.organism_sampler import Samples
from probe.rewards import Reward
from probe.rl.advantage import GroupNormalised
from probe.rl.causal_policy import CausalPolicy, Memory
from probe.rl.lora import Lora
from probe.rl.rollout import Experience, Question, collect
from probe.rng import torch_rng

KINDS = ("qwen2", "qwen3", "llama", "olmo2", "gemma3")
TEXTS = ("What is 7 plus 5?", "2 + 2 =", "Let x be 4. Then 2x + 3 is", "Find the sum of the first ten integers.")
NEW = 12
LORA = Lora(4, 8.0)


def loaded(kind: str = "qwen2", seed: int = 0, **changes: Any) -> Loaded:
    """A random model that now and then ends by itself."""
    tokenizer = byte_tokenizer()
    ends = {"eos": tokenizer.eos_token_id, "pad": tokenizer.pad_token_id}
    return Loaded(tiny(kind, len(tokenizer) + 3, seed=seed, **ends, **changes), tokenizer)


def policy(made: Loaded, lora: Lora | None = LORA, **how: Any) -> CausalPolicy:
    return CausalPolicy(Loaded(copy.deepcopy(made.model), made.tokenizer), lora=lora, **how)


def questions(made: Loaded, n: int = 4) -> list[Question]:
    asked = [Problem(f"p/{i}", TEXTS[i], str(i), "hand") for i in range(n)]
    return [Question(each, list(made.tokenizer(each.prompt)["input_ids"]), each.answer) for each in asked]


def uneven(**info: Any) -> list[float | None]:
    """A reward that differs within most groups: the share of vowels."""
    return [sum(c in "aeiou" for c in text) / max(1, len(text)) for text in info["completions"]]


class Reads:
    """Responses as text; nothing is ever right."""

    def __init__(self, made: Loaded) -> None:
        self.tokenizer = made.tokenizer

    def texts(self, samples: Samples) -> list[str]:
        rows = zip(samples.ids.tolist(), samples.lengths.tolist(), strict=True)
        return [self.tokenizer.decode(row[:n]) for row, n in rows]

    def right(self, texts: list[str], golds: list[str]) -> list[bool]:
        return [False for _ in texts]


def batch(
    taught: CausalPolicy, made: Loaded, reward: Reward = uneven, temperature: float = 1.0, n_samples: int = 4
) -> Experience:
    """Sixteen responses to four questions, scored."""
    how = {"n_samples": n_samples, "max_new": NEW, "temperature": temperature, "seed": 0, "batch": 0}
    return collect(taught, questions(made), Reads(made), reward, GroupNormalised(), **how)  # type: ignore[arg-type]


def every(taken: Experience) -> torch.Tensor:
    return torch.arange(len(taken.texts))


@torch.no_grad()
def nudge(taught: CausalPolicy, size: float = 0.05) -> None:
    """Move every trained tensor, B of LoRA off zero."""
    for name, weight in taught.tensors.items():
        weight.add_(size * torch.randn(weight.shape, generator=torch_rng("nudge", name)))


def small(tokens: int = 40, **more: Any) -> Memory:
    return Memory(tokens=tokens, rows=8, **more)
