"""Is the answer right, and does the response know it? RLCR: correctness and a proper score of stated confidence.

    R = .5 c + .5 (1 - (c - q)^2)      c = 1[correct], q the stated confidence; 0 where the format fails (2507.16806)

The format: an answer that can be extracted, and <confidence>q</confidence> with q in [0, 1] (`probe.tasks.confidence`).
Right and sure gives 1, wrong and sure 0, wrong and unsure up to .5. Trained without division by the standard deviation:
the variant `centred`. The organisms state no confidence, so all of theirs fail the format.
Left out: the authors' <think> and <analysis> tags, and their optional format term.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from probe.data import Outcome
from probe.errors import BadInput
from probe.rewards import per_response, rewards
from probe.rewards.ground_truth import Grader, canonical
from probe.tasks.answers import own_turn
from probe.tasks.confidence import stated_confidence
from probe.tasks.extractors import NAMES, Extract, extract


@rewards.register("rlcr")
@dataclass(frozen=True)
class Rlcr:
    """Between 0 and 1; abstains where there is no label. A grader compares what `extractor` finds by its own rules."""

    informative: ClassVar[bool] = True
    is_null: ClassVar[bool] = False
    extractor: Extract = "auto"
    grader: Grader | None = None

    def __post_init__(self) -> None:
        if self.extractor not in NAMES:
            raise BadInput(f"no extractor {self.extractor!r}", where="rlcr", do=f"choose one of {', '.join(NAMES)}")

    def __call__(
        self, *, completions: Sequence[str], answers: Sequence[str | None] | None = None, **info: Any
    ) -> list[float | None]:
        labels = per_response("answer", answers, completions, "rlcr")
        return [self._score(own_turn(text), label) for text, label in zip(completions, labels, strict=True)]

    def _score(self, text: str, label: str | None) -> float | None:
        outcome = Outcome.wrong if label is not None else Outcome.gold_unparsed
        answer, confidence = extract(text, self.extractor).answer, stated_confidence(text)
        if label is not None and answer is not None:
            outcome = self._outcome(answer, label)
        if outcome is Outcome.gold_unparsed:
            return None
        if answer is None or confidence is None:
            return 0.0
        correct = float(outcome is Outcome.right)
        return 0.5 * correct + 0.5 * (1 - (correct - confidence) ** 2)

    def _outcome(self, answer: str, label: str) -> Outcome:
        if self.grader:
            return self.grader.compare(answer, label)
        return Outcome.right if canonical(answer) == canonical(label) else Outcome.wrong
