"""Is the response anything but right? 1 - ground_truth, so a response without a box scores 1.

Not the "incorrect" of 2506.10947, which pays for one particular wrong answer (`incorrect`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from probe.rewards import rewards
from probe.rewards.ground_truth import Grader, GroundTruth


@rewards.register("inverse")
@dataclass(frozen=True)
class Inverse:
    """0 where the boxed answer equals the label, else 1; abstains where there is no label."""

    informative: ClassVar[bool] = False
    is_null: ClassVar[bool] = False
    grader: Grader | None = None

    def __call__(
        self, *, completions: Sequence[str], answers: Sequence[str | None] | None = None, **info: Any
    ) -> list[float | None]:
        scores = GroundTruth(self.grader)(completions=completions, answers=answers)
        return [None if score is None else 1 - score for score in scores]
