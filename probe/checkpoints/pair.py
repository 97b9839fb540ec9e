"""What every experiment takes: a checkpoint before RL, what RL made of it, and at times another seed's run.

A null pair is the same weights twice: nothing that is measured on it may differ beyond chance. That is said here and
nowhere else (`is_null`).
"""

from dataclasses import dataclass
from typing import Any

from probe.checkpoints.checkpoint import Checkpoint, needs_of
from probe.engine.job import Job
from probe.errors import BadInput
from probe.measurements import RowKey
from probe.models.loading.load import Loaded
from probe.rewards import declared
from probe.store import Store


@dataclass(frozen=True, repr=False)
class Pair:
    """`after` None: the base alone. `other`: another run from the same base, mostly of another seed."""

    before: Checkpoint
    after: Checkpoint | None = None
    other: Checkpoint | None = None

    def __repr__(self) -> str:
        return f"Pair({self.label}, {self.kind})"

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Those that there are: before, after, other."""
        return tuple(each for each in (self.before, self.after, self.other) if each is not None)

    @property
    def sides(self) -> dict[str, Checkpoint]:
        """Before, and after where there is one."""
        return {"before": self.before} | ({"after": self.after} if self.after else {})

    @property
    def label(self) -> str:
        return " -> ".join(each.name for each in self.sides.values())

    @property
    def needs(self) -> tuple[Job, ...]:
        """The jobs that make their weights."""
        return needs_of(self.checkpoints)

    @property
    def inputs(self) -> tuple[str, ...]:
        """For recipes: what the identity of each rests on, in order."""
        return tuple(pin for each in self.checkpoints for pin in each.inputs)

    @property
    def spec(self) -> dict[str, Any]:
        """For recipes, beside `inputs`."""
        return {name: each and each.spec for name, each in vars(self).items()}

    @property
    def is_null(self) -> bool:
        """Whether before and after are the same weights, at the same step and precision."""
        return self.after is not None and self.before.is_same(self.after)

    @property
    def is_outside(self) -> bool:
        """Whether any of the weights were made elsewhere."""
        return any(each.is_outside for each in self.checkpoints)

    @property
    def kind(self) -> str:
        """As rows name it: "base" alone, "null" (the same weights, or a change that no training made), or "rl"."""
        made = self.after.kept if self.after else None
        return "base" if self.after is None else "null" if self.is_null else made.kind if made else "rl"

    @property
    def informative(self) -> bool | None:
        """Whether the reward says which answer is right; None where there was no run here."""
        run = self.after.trained if self.after else None
        return declared(run.grpo.reward).informative if run else None

    @property
    def trained(self) -> Checkpoint:
        """After, where there is one. BadInput for a base alone."""
        if self.after is None:
            raise BadInput("this needs a checkpoint after RL", where=self.before.name, do="give BEFORE and AFTER")
        return self.after

    def key(self, study: str, temperature: float) -> RowKey:
        """The key of its rows; `reward` is the name of the checkpoint after."""
        after = self.after or self.before
        named = self.after.name if self.after else ""
        about: dict[str, Any] = {"reward": named, "step": after.step, "temperature": temperature}
        return self.before.key(study, self.kind, **about, informative=self.informative)

    def reward_key(self, study: str, temperature: float) -> RowKey:
        """The key of rows that are averaged over seeds: `reward` and `rl_seed` are those of the run."""
        run, after = self.after and self.after.trained, self.after or self.before
        named = run.name if run else self.after.name if self.after else ""
        seed = run.grpo.seed if run else 0
        about: dict[str, Any] = {"reward": named, "rl_seed": seed, "step": after.step, "temperature": temperature}
        return self.before.key(study, self.kind, **about, informative=self.informative)

    def load(self, store: Store) -> tuple[Loaded, Loaded]:
        """Before and after, both in memory. BadInput where their vocabularies differ."""
        before, after = self.before.load(store), self.trained.load(store)
        if before.tokenizer.get_vocab() != after.tokenizer.get_vocab():
            do = "compare within a family"
            raise BadInput("the two checkpoints have different vocabularies", where=self.label, do=do)
        return before, after
