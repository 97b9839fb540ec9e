"""What do both checkpoints make of every token that either wrote? Scores and first choices of both, as an artifact.

    before.parquet, after.parquet     PAIRED (`probe.data`) of the texts that this side wrote

The texts are the first sample of each problem of a comparison (`CompareJob`), as they lie in the store. Forks are those
of these texts: the highest entropies of each model over all tokens that one side wrote.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe.data import SIDES
from probe.engine.job import Job
from probe.experiments.budget import PROMPT, Work
from probe.experiments.compare.job import CompareJob
from probe.experiments.responses import ROLLOUTS
from probe.store import Recipe, Store, write_table
from probe.tokens.alternatives import CHOICES
from probe.tokens.paired import paired_tokens

VERSION = 1
TEXTS = 256  # of each side
PASSES = 3  # scores, divergence, choices


@dataclass(frozen=True)
class PairedTokensJob(Job):
    """Every token of the first `texts` responses of each side, under both."""

    compare: CompareJob
    texts: int = TEXTS
    choices: int = CHOICES

    @property
    def sampled(self) -> tuple[Job, Job]:
        """Whose texts they are: before's, after's."""
        return self.compare.sampled[0], self.compare.sampled[1]

    @property
    def needs(self) -> tuple[Job, ...]:
        return (*self.sampled, *self.compare.pair.needs)

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"texts": self.texts, "choices": self.choices} | self.compare.pair.spec
        return Recipe("paired-tokens", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.compare.pair.label} token by token"

    @property
    def in_process(self) -> bool:
        return self.compare.pair.is_outside

    @property
    def work(self) -> tuple[Work, ...]:
        """Both sides' texts go through each checkpoint."""
        texts = min(self.texts, len(self.compare.elicitation.problems.problems))
        tokens = len(SIDES) * texts * (PROMPT + self.compare.options.max_new)
        return tuple(Work(each, read=PASSES * tokens) for each in self.compare.pair.sides.values())

    def make(self, store: Store, work: Path) -> None:
        before, after = self.compare.pair.load(store)
        for side, job in zip(SIDES, self.sampled, strict=True):
            rows = first_texts(store, job, self.texts)
            at = {"temperature": self.compare.options.temperature, "batch": self.compare.compute.batch}
            table = paired_tokens(rows, before, after, choices=self.choices, **at)  # type: ignore[arg-type]
            write_table(work / f"{side}.parquet", table)


def first_texts(store: Store, job: Job, most: int) -> list[dict[str, Any]]:
    """ROLLOUTS rows of the first sample of each problem, of at most that many, where it is not empty."""
    written = store.get(job.recipe).read_table(ROLLOUTS).to_pylist()
    return [row for row in written if row["sample"] == 0 and row["completion_ids"]][:most]
