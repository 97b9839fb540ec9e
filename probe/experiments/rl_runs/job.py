"""What did a GRPO run change, and what was the organism before it? Every measure, at every kept step.

responses of base and run, sampled and greedy -> tokens of the last step -> measurements of the study

Beside them, `chance`: what one answer to every problem would get (`probe.tasks.chance`), and the entropy of what is
sampled (`held_out_entropy`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from probe.checkpoints.checkpoint import of_organism
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.run_job import RunJob
from probe.engine.job import Job
from probe.experiments import experiments
from probe.experiments.experiment import Experiment
from probe.experiments.measuring import (
    ALONG_THE_WAY,
    at_step,
    first_samples,
    log_rows,
    measure_pair,
    rollouts_at_step,
)
from probe.experiments.responses import ROLLOUTS, RunResponsesJob, SampleJob, asked_of, responses_of
from probe.experiments.rl_runs.held_out_entropy import held_out_entropy
from probe.experiments.rl_runs.tokens import TokensJob
from probe.experiments.run_key import run_key
from probe.measurements import RowKey, Rows, row_of
from probe.measures import PairData
from probe.rewards import declared
from probe.rl.train import METRICS, read_metrics
from probe.store import Store
from probe.tasks.chance import chance


@experiments.register("rl-run")
@dataclass(frozen=True)
class MeasureRunJob(Experiment):
    """Every measure of one run against its base: at T = 1 and greedy, at every kept step, and the training log."""

    FIGURES: ClassVar = ("response_curves", "gain_parts")
    VERSION: ClassVar = 4  # 4: held-out entropy; 3: the parse part of a gain is that of each strategy; chance
    study: str
    run: RunJob

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": self.study, "name": self.run.name}

    @property
    def label(self) -> str:
        return f"{self.run.label} measured"

    @property
    def responses(self) -> tuple[Job, ...]:
        """Of the base and the run, sampled; then of both, greedy."""
        base = of_organism(self.run.organism)
        asked, sampled = asked_of(self.run.organism)
        pairs = (
            (SampleJob(base, asked, way), RunResponsesJob(self.run, asked, way)) for way in (sampled, sampled.greedy)
        )
        return tuple(job for pair in pairs for job in pair)

    @property
    def needs(self) -> tuple[Job, ...]:
        return (*self.responses, TokensJob(self.run), self.run)

    def key(self, step: int, temperature: float) -> RowKey:
        """What its rows are about."""
        kind = "null" if declared(self.run.grpo.reward).is_null else "rl"
        return run_key(self.study, self.run, temperature, step=step, kind=kind)

    def measure(self, store: Store) -> Rows:
        tables, last, rows = responses_of(store, self.responses), self.run.grpo.batches, []
        for temperature, base, run in ((1.0, *tables[:2]), (0.0, *tables[2:])):
            for step in self.run.steps:
                key, after = self.key(step, temperature), at_step(run, step)
                data = PairData(first_samples(base, after), after, address=key.address)
                if step == last and temperature > 0:
                    data = self._with_tokens(store, data)
                rows += measure_pair(key, data, None if step == last else ALONG_THE_WAY)
            rows.append(row_of(self.key(last, temperature), chance(asked_of(self.run.organism)[0].problems.problems)))
        log = read_metrics(store.get(self.run.recipe).file(METRICS))
        return [*rows, *self._entropy(store), *log_rows(self.key(last, 1.0), log)]

    def _entropy(self, store: Store) -> Rows:
        base, run = (store.get(job.recipe).read_table(ROLLOUTS) for job in self.responses[:2])
        kept = [(step, rollouts_at_step(run, step)) for step in self.run.steps]
        return [
            row_of(self.key(step, 1.0), each)
            for step, after in kept
            for each in held_out_entropy(first_samples(base, after), after)
        ]

    def _with_tokens(self, store: Store, data: PairData) -> PairData:
        tokens = store.get(TokensJob(self.run).recipe)
        before, after, kl = (tokens.read_table(f"{name}.parquet") for name in ("before", "after", "kl"))
        return replace(data, tokens_before=before, tokens_after=after, kl=kl["kl"].combine_chunks())


@dataclass(frozen=True)
class MeasureBaseJob(Experiment):
    """An organism before RL, and the null pair: the same weights sampled twice."""

    VERSION: ClassVar = 3  # 3: the parse part of a gain is that of each strategy; chance
    study: str
    organism: OrganismJob

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": self.study}

    @property
    def label(self) -> str:
        return f"{self.organism.label} measured"

    @property
    def needs(self) -> tuple[Job, ...]:
        asked, sampled = asked_of(self.organism)
        ways = (sampled, sampled.greedy, replace(sampled, seed=1))
        return tuple(SampleJob(of_organism(self.organism), asked, way) for way in ways)

    def measure(self, store: Store) -> Rows:
        sampled, greedy, again = responses_of(store, self.needs)
        rows = []
        for kind, temperature, before, after in (
            ("base", 1.0, sampled, sampled),
            ("base", 0.0, greedy, greedy),
            ("null", 1.0, sampled, again),
        ):
            key = of_organism(self.organism).key(self.study, kind, temperature=temperature)
            measured = measure_pair(key, PairData(before, after, address=key.address))
            rows += [row for row in measured if kind == "null" or row["side"] == "before"]
            rows += [row_of(key, chance(asked_of(self.organism)[0].problems.problems))] if kind == "base" else []
        return rows
