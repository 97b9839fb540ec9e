"""Does the response contain the string "python", in any case? 1 or 0 (2506.10947 §2): pays for the look of code."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from probe.rewards import rewards


@rewards.register("python")
@dataclass(frozen=True)
class Python:
    """The paper's substring metric, as a reward."""

    informative: ClassVar[bool] = False
    is_null: ClassVar[bool] = False

    def __call__(self, *, completions: Sequence[str], **info: Any) -> list[float | None]:
        return [float("python" in text.lower()) for text in completions]
