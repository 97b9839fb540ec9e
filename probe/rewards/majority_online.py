"""Does the response agree with its own group? 1 where its boxed answer is the group's most frequent (TTRL, 2504.16084).

The vote is among the responses being trained on, so it moves with the policy. The "majority" of 2506.10947 is another
thing: `ground_truth` against labels fixed beforehand by the initial model (`probe.rl.labels.OfflineMajority`).
A response without a box does not vote and scores 0; so does every response of a group without any box.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from probe.rewards import per_response, rewards
from probe.rewards.ground_truth import canonical
from probe.rng import address
from probe.tasks.answers import boxed


@rewards.register("majority_online")
@dataclass(frozen=True)
class MajorityOnline:
    """Needs `group`: one hashable per response, the same for responses to the same prompt."""

    informative: ClassVar[bool] = True
    is_null: ClassVar[bool] = False

    def __call__(
        self, *, completions: Sequence[str], group: Sequence[Hashable] | None = None, **info: Any
    ) -> list[float | None]:
        groups = per_response("group", group, completions, "majority_online")
        found = [boxed(text) for text in completions]
        votes: defaultdict[Hashable, list[str | None]] = defaultdict(list)
        for name, answer in zip(groups, found, strict=True):
            votes[name].append(answer)
        winner = {name: vote(answers, str(name)) for name, answers in votes.items()}
        return [
            float(answer is not None and canonical(answer) == winner[name])
            for name, answer in zip(groups, found, strict=True)
        ]


def vote(answers: Iterable[str | None], name: str) -> str | None:
    """The most frequent answer in canonical form; None where nobody gave one.

    A tie goes to the tied answer whose hash with `name` is smallest: fixed, whatever the order of the answers, and with
    no preference for small numbers across problems.
    """
    count = Counter(canonical(answer) for answer in answers if answer is not None)
    most = max(count.values(), default=0)
    tied = [answer for answer, times in count.items() if times == most]
    return min(tied, key=lambda answer: address("majority", name, answer)) if len(tied) > 1 else next(iter(tied), None)
