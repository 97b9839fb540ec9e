"""How far is a way of answering from the base's own? KL(way || base) of whole responses, estimated on the way's texts.

    nats = log p_way(y | x) - log p_base(y | x)      y with its forced first words; mean over texts: the divergence

Whatever chose the text (a lower temperature, first words put into the mouth, a vector, RL), the base scores it at T = 1
under the prompt that is asked. A greedy text has probability 1, the surest path of CoT decoding too, and so have forced
words. One sample of each problem is scored.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from probe.checkpoints.organism_job import VERSION, OrganismJob, load_organism
from probe.engine.job import Job
from probe.experiments.elicitation_scale.answers import CotJob, SteeredJob, TaughtJob
from probe.experiments.null_responses import NullResponsesJob
from probe.experiments.responses import ROLLOUTS, RunResponsesJob, SampleJob
from probe.models.loading.loaded import Loaded
from probe.rollouts.elicitation import Elicitation
from probe.store import Recipe, Store, write_table
from probe.tokens.score import score

SCHEMA = pa.schema([("problem", pa.string()), ("nats", pa.float64())])
Answers = SampleJob | RunResponsesJob | NullResponsesJob | CotJob | SteeredJob | TaughtJob


@dataclass(frozen=True)
class NatsJob(Job):
    """One number a problem: by how much the way's text is likelier under the way than under the base."""

    TYPICAL: ClassVar = {"tiny": 1.0, "mini": 1.0, "mini-qwen2": 1.0, "small": 3.0}
    base: OrganismJob
    answers: Answers

    @functools.cached_property
    def recipe(self) -> Recipe:
        return Recipe("nats", VERSION, {}, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.answers.label} in nats"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.answers, self.base)

    def make(self, store: Store, work: Path) -> None:
        base = load_organism(store, self.base)
        rows = store.get(self.answers.recipe).read_table(ROLLOUTS).to_pylist()
        last = f"@{self.answers.run.grpo.batches}" if isinstance(self.answers, RunResponsesJob) else ""
        mine = [row for row in rows if row["sample"] == 0 and row["checkpoint"].endswith(last)]
        found = nats(base, mine, self.answers.elicitation)
        write_table(work / "data.parquet", pa.table({"problem": [r["problem"] for r in mine], "nats": found}, SCHEMA))


def nats(base: Loaded, rows: Sequence[dict[str, Any]], asked: Elicitation) -> list[float]:
    """log p_way - log p_base of each row of ROLLOUTS, in nats; `asked` with the way's forced words."""
    problems = {problem.id: problem for problem in asked.problems.problems}
    plain, _ = replace(asked, prefix="").prompts(base.tokenizer, [problems[row["problem"]] for row in rows])
    texts = [row["prompt_ids"][len(prompt) :] + row["completion_ids"] for row, prompt in zip(rows, plain, strict=True)]
    scores = score(base.model, plain, texts)
    under_base = np.bincount(scores.row, weights=scores.logprob, minlength=len(rows))
    greedy = np.array([not row["temperature"] for row in rows])
    own = np.array([sum(row["logprob"]) for row in rows])
    return (np.where(greedy, 0.0, own) - under_base).tolist()
