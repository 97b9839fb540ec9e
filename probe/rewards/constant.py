"""The null: the same score for every response, so every group's advantage is exactly 0 and nothing should move."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from probe.errors import BadInput
from probe.rewards import rewards


@rewards.register("constant")
@dataclass(frozen=True)
class Constant:
    """`value` for every response."""

    informative: ClassVar[bool] = False
    is_null: ClassVar[bool] = True
    value: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise BadInput(f"a constant reward of {self.value}", do="give a finite value")

    def __call__(self, *, completions: Sequence[str], **info: Any) -> list[float | None]:
        return [float(self.value)] * len(completions)
