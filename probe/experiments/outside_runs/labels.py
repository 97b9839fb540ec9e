"""How right are the labels that a run trains on? Counted before it starts, and kept with it.

`right`     of the labels trained on, the share that the grader calls right: 1 under gold, 0 under wrong majorities
`leak`      of the majorities that are not spelled as the true answer, the share that is right all the same: what would
            be among "wrong" labels that were told by spelling. 16 % in the published set (2603.16140)

With n and 95 % Wilson limits: problems are independent, one label each.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from probe.data import Outcome
from probe.rewards.ground_truth import Grader, canonical
from probe.rl.labels import Answers, Labels, OfflineMajority
from probe.stats.intervals import wilson


def label_report(chosen: Labels, answers: Answers, gold: Mapping[str, str], grader: Grader) -> dict[str, Any]:
    """Plain JSON: how many problems were kept and why others were not, `right`, and `leak` where there were votes."""
    trained = list(dict.fromkeys(chosen.kept))
    right = [_is_right(chosen.label[name], gold[name], grader) for name in trained]
    found: dict[str, Any] = {"problems": len(gold), "kept": len(trained), "dropped": chosen.dropped_counts()}
    found["right"] = _share(right)
    if answers:
        voted = OfflineMajority()(answers, gold).label
        odd = [name for name, label in voted.items() if label != canonical(gold[name])]
        found["leak"] = _share([_is_right(voted[name], gold[name], grader) for name in odd])
    return found


def answers_of(problems: Sequence[str], boxed: Sequence[str | None]) -> dict[str, list[str | None]]:
    """The answers of every problem, in order of the rows."""
    found: dict[str, list[str | None]] = {}
    for name, answer in zip(problems, boxed, strict=True):
        found.setdefault(name, []).append(answer)
    return found


def _is_right(label: str, gold: str, grader: Grader) -> bool:
    return label == gold or grader.compare(label, gold) is Outcome.right


def _share(flags: list[bool]) -> dict[str, float | int | None]:
    """Value, n and limits; no value of nothing."""
    if not flags:
        return {"value": None, "n": 0, "lo": None, "hi": None}
    lo, hi = wilson(sum(flags), len(flags))
    return {"value": sum(flags) / len(flags), "n": len(flags), "lo": lo, "hi": hi}
