"""Does the response give the wrong answer that the initial model prefers? 1 or 0 (2506.10947 §2).

The score is `ground_truth`'s; what differs is the label source. It must be `probe.rl.labels.WrongMajority`: prompts
whose majority answer is wrong, labelled by that answer. It is not 1 - correct, which is `inverse`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from probe.rewards import rewards
from probe.rewards.ground_truth import Grader, GroundTruth


@rewards.register("incorrect")
@dataclass(frozen=True)
class Incorrect:
    """1 where the boxed answer equals the (wrong) label."""

    informative: ClassVar[bool] = False
    is_null: ClassVar[bool] = False
    grader: Grader | None = None

    def __call__(
        self, *, completions: Sequence[str], answers: Sequence[str | None] | None = None, **info: Any
    ) -> list[float | None]:
        return GroundTruth(self.grader)(completions=completions, answers=answers)
