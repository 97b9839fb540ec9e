"""The text of a run's last step, scored token by token by the model before and after: only the scorer changes."""

import functools
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from probe.checkpoints.organism_job import load_organism
from probe.checkpoints.run_job import RunJob, load_step
from probe.engine.job import Job
from probe.experiments.responses import ROLLOUTS, RunResponsesJob, asked_of
from probe.store import Recipe, Store, write_table
from probe.tokens.score import kl, score
from probe.tokens.table import ids_of, token_table

SCORED = 1  # samples of each problem that are scored
VERSION = 2


@dataclass(frozen=True)
class TokensJob(Job):
    """before.parquet and after.parquet (TOKENS), and kl.parquet: nats a token, KL(before || after)."""

    run: RunJob

    @property
    def responses(self) -> RunResponsesJob:
        """Whose text it is."""
        return RunResponsesJob(self.run, *asked_of(self.run.organism))

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"step": self.run.grpo.batches, "samples": SCORED}
        return Recipe("tokens", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.run.label} tokens"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.responses, self.run, self.run.organism)

    def make(self, store: Store, work: Path) -> None:
        step = self.run.grpo.batches
        name = f"{self.run.label}@{step}"
        before, after = load_organism(store, self.run.organism), load_step(store, self.run, step)
        rollouts = store.get(self.responses.recipe).read_table(ROLLOUTS).to_pylist()
        # by step alone: a run of the same recipe under another name may have sampled them
        rows = [r for r in rollouts if r["checkpoint"].endswith(f"@{step}") and r["sample"] < SCORED]
        prompts, completions = ids_of(rows)
        for side, loaded, scorer in (("before", before, self.run.organism.label), ("after", after, name)):
            scores = score(loaded.model, prompts, completions)
            write_table(work / f"{side}.parquet", token_table(rows, scores, name, scorer, loaded))
        divergence = kl(before.model, after.model, prompts, completions)
        write_table(work / "kl.parquet", pa.table({"kl": pa.array(divergence, pa.float32())}))
