"""Which rewards are forecast, on which labels, and what advantage does each give to the samples?

Every registered reward that can be made without arguments, a plug-in's too, against the true answers, but

    incorrect   against the wrong majority of votes, on the problems where the majority is wrong (2506.10947)
    majority    is ground_truth against the majority of votes (offline)

A reward with a `seed` is scored under SEEDS of them and its advantages are averaged: the expected first change. One
with a `grader` gets the one that is given. Advantages are GRPO's (`GroupNormalised`). What cannot be scored here (it
needs arguments, or keywords that nobody gives) is left out with the reason.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from probe.errors import BadInput
from probe.experiments.forecast.samples import Samples
from probe.rewards import DeclaredReward, declared, rewards
from probe.rewards.compose import spec
from probe.rewards.ground_truth import Grader
from probe.rl.advantage import GroupNormalised, reward_table
from probe.rl.labels import Gold, LabelSource, OfflineMajority, WrongMajority

SEEDS = 8
ADVANTAGE = GroupNormalised()
Table = Float[np.ndarray, "group sample"]
Source = Callable[[Grader | None], LabelSource]
LABELS: dict[str, tuple[str, Source]] = {  # what is forecast -> its reward, and what that compares with
    "incorrect": ("incorrect", lambda grader: WrongMajority(grader)),
    "majority": ("ground_truth", lambda grader: OfflineMajority()),
}


@dataclass(frozen=True)
class Treatment:
    """One reward on its labels, in all its seeds; none, and the reason, where it cannot be made."""

    name: str
    rewards: tuple[DeclaredReward, ...]
    labels: LabelSource
    reason: str = ""

    @property
    def informative(self) -> bool | None:
        """Whether it says which answer is right."""
        return self.rewards[0].informative if self.rewards else None

    @property
    def is_null(self) -> bool:
        """Whether there is nothing to learn from."""
        return bool(self.rewards) and self.rewards[0].is_null

    @property
    def spec(self) -> dict[str, Any]:
        """For recipes, beside the version of the grader."""
        return {"name": self.name, "rewards": [spec(each) for each in self.rewards]}


@dataclass(frozen=True, eq=False)
class Scored:
    """Rewards `[seed]` of tables `[group sample]`, and the advantages averaged over seeds; nan where it abstains."""

    rewards: list[Table]
    advantage: Table


@dataclass(frozen=True)
class Known:
    """What labels are taken from: the problems' texts and true answers, and the votes of the model before RL."""

    prompts: Mapping[str, str]
    golds: Mapping[str, str]
    votes: Mapping[str, Sequence[str | None]]


def treatments(grader: Grader | None = None) -> list[Treatment]:
    """Every reward that there is, plug-ins included, sorted by name. BadInput for one that does not say what it is."""
    found = {**{name: (name, lambda grader: Gold()) for name in rewards.names()}, **LABELS}
    return [_treatment(name, *found[name], grader) for name in sorted(found)]


def score(treatment: Treatment, samples: Samples, known: Known) -> Scored:
    """Its rewards and advantages. BadInput where it has no labels here, or abstains on everything."""
    if not treatment.rewards:
        raise BadInput(treatment.reason, where=treatment.name)
    labels = _labels(treatment.labels, known)
    rows = [i for i, name in enumerate(samples.problem) if name in labels]
    tables = [_scores(reward, samples, known, labels, rows) for reward in treatment.rewards]
    return Scored(tables, np.mean([_advantages(table) for table in tables], axis=0))


def _treatment(name: str, reward: str, labels: Source, grader: Grader | None) -> Treatment:
    kind = rewards.get(reward)
    try:
        one = kind()
    except TypeError as err:
        return Treatment(name, (), labels(grader), f"it needs arguments: {err}")
    told = {each.name for each in fields(declared(one))}  # type: ignore[arg-type]
    given = {"grader": grader} if "grader" in told and grader else {}
    seeds = [{"seed": seed} for seed in range(SEEDS)] if "seed" in told else [{}]
    return Treatment(name, tuple(kind(**given, **seed) for seed in seeds), labels(grader))


def _labels(source: LabelSource, known: Known) -> dict[str, str | None]:
    if isinstance(source, Gold):
        return {name: known.golds.get(name) for name in known.prompts}
    return dict(source(known.votes, known.golds).label)


def _scores(
    reward: DeclaredReward, samples: Samples, known: Known, labels: Mapping[str, str | None], rows: list[int]
) -> Table:
    names = [samples.problem[i] for i in rows]
    scores = reward(
        prompts=[known.prompts[name] for name in names],
        completions=[samples.texts[i] for i in rows],
        answers=[labels[name] for name in names],
        group=names,
        address=[("forecast", name, samples.sample[i]) for i, name in zip(rows, names, strict=True)],
    )
    told = dict(zip(rows, scores, strict=True))
    return samples.table([told.get(i) for i in range(len(samples.texts))])


def _advantages(table: Table) -> Table:
    given: Iterator[float | None] = (None if np.isnan(value) else float(value) for value in table.ravel())
    found = ADVANTAGE(reward_table(list(given), table.shape[1]))
    values = found.value.double().numpy().reshape(table.shape)
    return np.where(found.keep.numpy().reshape(table.shape), values, np.nan)
