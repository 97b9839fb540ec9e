"""What does a reward pay for? Responses of a checkpoint or a file -> the reward's scores -> estimates and a verdict.

The row `verdict` holds the sentence of `verdict` in `reason`; its value counts the traits that are paid for. The files
that define the reward are part of the identity: a reward that was mended is audited again.
"""

import inspect
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

from probe.data import Estimate
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments import experiments
from probe.experiments.budget import Work
from probe.experiments.experiment import Experiment
from probe.experiments.reward_audit.findings import GROUPS, audited, companions, findings
from probe.experiments.reward_audit.sources import FromCheckpoint, FromFile, rollouts
from probe.experiments.reward_audit.verdict import verdict
from probe.measurements import Rows, row_of
from probe.rewards import Reward, declared
from probe.rewards.compose import spec
from probe.store import Store, file_digest

LABELS = ("gold", "offline_majority", "wrong_majority")


@experiments.register("audit-reward")
@dataclass(frozen=True)
class AuditJob(Experiment):
    """Audit one reward on the responses of one source."""

    VERSION: ClassVar = 1
    reward: Reward
    source: FromCheckpoint | FromFile
    labels: str = "gold"

    def __post_init__(self) -> None:
        if self.labels not in LABELS:
            raise BadInput(f"no labels {self.labels!r}", where="reward audit", do=f"choose one of {', '.join(LABELS)}")

    @property
    def params(self) -> Mapping[str, Any]:
        more = self.source.spec if isinstance(self.source, FromFile) else {}
        return {
            "study": "audit",
            "reward": spec(self.reward),
            "labels": self.labels,
            "code": code_of(self.reward),
        } | more

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.source.inputs

    @property
    def needs(self) -> tuple[Job, ...]:
        return self.source.needs

    @property
    def in_process(self) -> bool:
        return isinstance(self.source, FromFile) or self.source.job.in_process

    @property
    def name(self) -> str:
        """Of the reward, parts of a composition included."""
        return _name(self.reward)

    @property
    def label(self) -> str:
        return f"{self.name} on {self.source.label}"

    @property
    def work(self) -> tuple[Work, ...]:
        """Of the checkpoint that is asked, if one is."""
        return self.source.work

    def measure(self, store: Store) -> Rows:
        columns = self.source.columns(store)
        audit = audited(self.reward, rollouts(columns, self.labels))
        found = findings(audit)
        says = verdict(found, {within: companions(audit, within) for within in GROUPS})
        n, problems = found[0].n, found[0].n_problems
        paid, params = float(len(says.pays_for)), {"side": "", "reason": says.sentence}
        told = Estimate("verdict", paid, float("nan"), float("nan"), n, problems, "count", params=params)
        key = replace(self.source.key(columns), reward=self.name, informative=declared(self.reward).informative)
        return [row_of(key, estimate) for estimate in (told, *found)]


def code_of(reward: Reward) -> list[str]:
    """The sha256 of every file that defines the reward or a part of it, sorted."""
    inner = (digest for part in parts_of(reward) for digest in code_of(part))
    return sorted({file_digest(Path(inspect.getfile(type(reward)))), *inner})


def parts_of(reward: Reward) -> list[Reward]:
    """The rewards that a composition is made of."""
    held = [getattr(reward, field.name) for field in fields(reward)]  # type: ignore[arg-type]
    flat = [each for part in held for each in (part if isinstance(part, tuple) else (part,))]
    return [each for each in flat if isinstance(each, Reward)]


def _name(reward: Reward) -> str:
    """random, random(gamma=0.1), without(format, python)."""
    plain = spec(reward)
    inside = [f"{field.name}={plain[field.name]}" for field in fields(reward) if _is_told(field, reward)]  # type: ignore[arg-type]
    inside = [_name(part) for part in parts_of(reward)] + inside
    return f"{plain['reward']}({', '.join(inside)})" if inside else str(plain["reward"])


def _is_told(field: "Field[Any]", reward: Reward) -> bool:
    """Whether a field is a plain value other than its default."""
    value = getattr(reward, field.name)
    return value != field.default and not isinstance(value, Reward | tuple)
