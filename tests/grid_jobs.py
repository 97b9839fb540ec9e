"""Real jobs, made in seconds, for tests of other places: workers there call `quick` by its name."""

from dataclasses import dataclass
from pathlib import Path

from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.run_job import RunJob
from probe.engine.job import Job
from probe.models.loading.load import Loaded, save_folder
from probe.rl.labels import Gold
from probe.rl.pretrain import pretrain
from probe.rl.train import GRPO
from probe.store import Recipe, Store


@dataclass(frozen=True)
class Short(OrganismJob):
    """An organism that was hardly trained."""

    steps: int = 4

    @property
    def recipe(self) -> Recipe:  # type: ignore[override]
        return Recipe("organism", 1, {"family": self.family, "seed": self.seed, "steps": self.steps})

    def make(self, store: Store, work: Path) -> None:
        save_folder(Loaded(*pretrain(self.family, self.size, self.seed, steps=self.steps)), work)


def quick() -> list[Job]:
    """An organism of a few steps, and two RL batches of it."""
    from probe.rewards import rewards

    small = {"batches": 2, "save_every": 2, "prompts": 4, "samples": 4, "updates": 1, "seed": 9}
    recipe = GRPO(rewards.get("format")(), **small)  # type: ignore[arg-type]
    return [RunJob("format", Short("latent-code", "tiny", 0), recipe, Gold())]
