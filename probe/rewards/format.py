r"""Does the response put an answer in a box? 1 for a non-empty \boxed{...}, else 0 (2506.10947 §2). Reads no label."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from probe.rewards import rewards
from probe.tasks.answers import has_box, own_turn


@rewards.register("format")
@dataclass(frozen=True)
class Format:
    """1 for at least one balanced, non-empty box."""

    informative: ClassVar[bool] = False
    is_null: ClassVar[bool] = False

    def __call__(self, *, completions: Sequence[str], **info: Any) -> list[float | None]:
        return [float(has_box(own_turn(text))) for text in completions]
