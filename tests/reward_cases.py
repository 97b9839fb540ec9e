"""Rewards planted for the audit, and rollouts with known traits to ask them about."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from probe.experiments.reward_audit.findings import GROUPS, audited, companions, findings
from probe.experiments.reward_audit.scored import Rollouts
from probe.experiments.reward_audit.verdict import Verdict, verdict
from probe.rewards import Reward
from probe.rng import numpy_rng

CODE = "```python\nx = 3\ny = x + {n}\nprint(y)\n```\n"
PROSE = "Three and {n} are what we add here.\n"


@dataclass(frozen=True)
class Planted:
    """A reward of the texts alone, or one that does something no reward may do."""

    informative: ClassVar[bool] = False
    is_null: ClassVar[bool] = False
    of: Callable[[list[str]], Any]

    def __call__(self, *, completions: Sequence[str], **info: Any) -> Any:
        return self.of(list(completions))


def each(of: Callable[[str], Any]) -> Planted:
    """The reward that scores text by text."""
    return Planted(lambda texts: [of(text) for text in texts])


def planted_rollouts(
    *address: str | int,
    problems: int = 40,
    samples: int = 8,
    code: float = 0.5,
    right: tuple[float, float] = (0.7, 0.3),
    boxed: float = 0.9,
) -> Rollouts:
    """Responses in code or prose of many lengths; P(right) in code and in prose, P(a box); answers mod 7."""
    rng, rows = numpy_rng("test", "planted rollouts", *address), []
    for problem in range(problems):
        label, ease = int(rng.integers(7)), rng.uniform(-0.2, 0.2)
        for sample in range(samples):
            is_code, is_boxed = rng.random() < code + ease, rng.random() < boxed
            is_right = bool(rng.random() < right[0 if is_code else 1] + ease)
            answer = label if is_right else (label + 1 + int(rng.integers(6))) % 7
            lead = "So we go on. " * int(rng.integers(0, 7)) + "\n"
            body = (CODE if is_code else PROSE).format(n=int(rng.integers(10, 99)))
            end = f"\\boxed{{{answer}}}" if is_boxed else "That is all."
            said = str(answer) if is_boxed else None
            rows.append((f"p{problem}", sample, f"q{problem}", lead + body + end, str(label), said, is_right, is_code))
    *texts, correct, in_code = zip(*rows, strict=True)
    boxes = np.array([said is not None for said in texts[5]])
    return Rollouts(*texts, np.array(correct) & boxes, np.array(in_code))


def judged(reward: Reward, rows: Rollouts, n_perm: int = 499) -> Verdict:
    """The verdict on a reward."""
    audit = audited(reward, rows)
    return verdict(findings(audit, n_perm), {within: companions(audit, within) for within in GROUPS})
