"""A study of a few pairs, quickly made: untrained organisms, runs of one batch; one run that cannot be made."""

from dataclasses import dataclass
from pathlib import Path

from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.pair import Pair
from probe.checkpoints.run_job import RunJob
from probe.engine.job import Job
from probe.measurements import to_table
from probe.models.loading.load import Loaded, save_folder
from probe.models.loading.organism import build_model, build_tokenizer
from probe.rewards import rewards
from probe.rl.labels import Gold, LabelSource, OneShot
from probe.rl.train import GRPO
from probe.store import Recipe, Store, write_table

NAME = "few-pairs"
RAW = OrganismJob("latent-code", "tiny", 0)


@dataclass(frozen=True)
class Of(Job):
    """A measurement without rows, of a run or of a pair."""

    run: RunJob | None = None
    pair: Pair | None = None

    @property
    def recipe(self) -> Recipe:
        of = self.run.recipe.digest if self.run else [each.name for each in self.pair.checkpoints] if self.pair else ""
        return Recipe("nothing", 1, {"of": of})

    def make(self, store: Store, work: Path) -> None:
        write_table(work / "data.parquet", to_table([]))


def run_of(reward: str = "format", lr: float = 3e-3, labels: LabelSource | None = None, name: str = "") -> RunJob:
    """One small batch."""
    recipe = GRPO(rewards.get(reward)(), lr=lr, batches=1, prompts=2, samples=2, updates=1, seed=3)
    return RunJob(name or reward, RAW, recipe, labels or Gold())


WHOLE, BROKEN = run_of(), run_of("python", labels=OneShot("no such problem"))


def few_pairs() -> list[Job]:
    """A run twice, one that cannot be made, and a job that has no pair."""
    return [Of(WHOLE), Of(BROKEN), Of(WHOLE), Of()]


def with_organism(store: Store) -> Store:
    """The store with the organism, untrained."""
    raw = Loaded(build_model("tiny", 0), build_tokenizer())
    store.build(RAW.recipe, lambda work: save_folder(raw, work))
    return store
