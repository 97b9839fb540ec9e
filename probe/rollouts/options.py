"""How are responses sampled, and with how much memory?"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

import torch
from jaxtyping import Float
from torch import Tensor

from probe.data import Problem
from probe.errors import BadInput
from probe.models.loading.organism import MAX_NEW_TOKENS
from probe.rng import uniforms

Sampler = Literal["transformers", "vllm"]


@dataclass(frozen=True)
class SamplingOptions:
    """Everything here can change a number and is part of the identity of what was sampled."""

    temperature: float = 1.0  # 0 is greedy
    samples: int = 8  # per problem
    seed: int = 0
    max_new: int = MAX_NEW_TOKENS  # tokens
    sampler: Sampler = "transformers"  # of weights from outside; organisms have their own

    def __post_init__(self) -> None:
        if self.samples < 1 or self.max_new < 1 or not 0 <= self.temperature < math.inf:
            what = f"{self.samples} samples of {self.max_new} tokens at temperature {self.temperature}"
            raise BadInput(what, where="sampling", do="give samples and tokens >= 1 and a temperature >= 0")

    @property
    def greedy(self) -> Self:
        """The same with the likeliest token each time: one response a problem."""
        return replace(self, temperature=0.0, samples=1, seed=0)

    def spec(self) -> dict[str, Any]:
        """For recipes."""
        return asdict(self)

    def draws(self, problems: Sequence[Problem], purpose: str = "responses") -> Float[Tensor, "row pos"] | None:
        """One uniform a token, addressed by (seed, problem, sample): before and after pair up. None for greedy."""
        if not self.temperature:
            return None
        places = ((problem.id, sample) for problem in problems for sample in range(self.samples))
        rows = [torch.from_numpy(uniforms(self.max_new, purpose, self.seed, *place)) for place in places]
        return torch.stack(rows)


SAMPLED = SamplingOptions()
GREEDY = SAMPLED.greedy


@dataclass(frozen=True)
class Compute:
    """Where and in how large batches: changes no number (beyond the rounding of half precision)."""

    batch: int = 64  # rows at a time; halved where memory runs out
    devices: tuple[str, ...] = ()  # a copy of the model on each
