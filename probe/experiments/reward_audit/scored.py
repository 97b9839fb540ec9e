"""What did a reward say of these responses? One number each, or a clear error: rewards of strangers are asked here.

A reward sees what it sees in training (`probe.rewards`): prompts, completions, answers, groups, addresses. It may
abstain (None). Anything else that is no finite number, a list of another length, or an exception is a BadInput that
names the reward, and the row where there is one.
"""

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from probe.errors import BadInput, ProbeError
from probe.rewards import Reward

SEED = 0  # of the addresses of a reward's own draws


@dataclass(frozen=True, eq=False)
class Rollouts:
    """Responses row by row, with what is known of each. `answers`: what the reward compares with, None: no label.

    `said`: the answer that a response gives, None where it gives none. BadInput on two rows of one problem and sample.
    """

    problems: tuple[str, ...]
    samples: tuple[int, ...]
    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    answers: tuple[str | None, ...]
    said: tuple[str | None, ...]
    correct: Bool[np.ndarray, "row"]
    code: Bool[np.ndarray, "row"]

    def __post_init__(self) -> None:
        places = list(zip(self.problems, self.samples, strict=True))
        if not places or len(set(places)) < len(places):
            twice = next((place for place in places if places.count(place) > 1), None)
            what = f"sample {twice[1]} of problem {twice[0]!r} occurs twice" if twice else "there are no responses"
            raise BadInput(what, where="reward audit", do="give each response of a problem a sample of its own")

    @property
    def addresses(self) -> list[tuple[str | int, ...]]:
        """Where the draws of a reward that draws lie: one place a response."""
        return [(SEED, "audit", *place) for place in zip(self.problems, self.samples, strict=True)]


def scores(
    reward: Reward,
    rows: Rollouts,
    *,
    texts: Sequence[str] | None = None,
    prompts: Sequence[str] | None = None,
    answers: Sequence[str | None] | None = None,
) -> Float[np.ndarray, "row"]:
    """The reward of every row, nan where it abstains; with other texts, prompts or answers where such are given."""
    name = type(reward).__name__
    try:
        given = reward(
            prompts=list(rows.prompts if prompts is None else prompts),
            completions=list(rows.texts if texts is None else texts),
            answers=list(rows.answers if answers is None else answers),
            group=list(rows.problems),
            address=rows.addresses,
        )
    except ProbeError:
        raise
    except Exception as err:
        do = "mend the reward; one that cannot score a response returns None for it"
        raise BadInput(f"the reward raised {type(err).__name__}: {err}", where=name, do=do) from err
    return _numbers(given, name, len(rows.texts))


def _numbers(given: object, name: str, rows: int) -> Float[np.ndarray, "row"]:
    if isinstance(given, str) or not hasattr(given, "__len__") or not hasattr(given, "__getitem__"):
        raise BadInput(f"the reward returned a {type(given).__name__}", where=name, do="return a list of numbers")
    if len(given) != rows:
        what = f"the reward returned {len(given)} scores for {rows} responses"
        raise BadInput(what, where=name, do="return one score per response, None where it abstains")
    return np.array([_number(given[row], name, row) for row in range(rows)])


def _number(score: object, name: str, row: int) -> float:
    if score is None:
        return math.nan
    if not isinstance(score, numbers.Real | np.bool_) or not math.isfinite(score):
        do = "return a finite number, or None where it abstains"
        raise BadInput(f"the reward gave {score!r} to response {row}", where=name, do=do)
    return float(score)
