"""What did a run on weights from outside change, batch by batch, on problems it was not trained on?

    the base, every kept step, the base after a random change as large as the whole -> measures, held-out entropy
    its training log -> rows named train/<metric>

Draws are shared, so responses pair up. LoRA only gets the random change; a run of every weight goes without.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.pair import Pair
from probe.engine.job import Job
from probe.experiments import experiments
from probe.experiments.experiment import CheckpointJob, Experiment
from probe.experiments.measuring import ALONG_THE_WAY, log_rows, measure_pair
from probe.experiments.outside_runs.job import OutsideRunJob
from probe.experiments.outside_runs.kept import checkpoint_of, random_change_of
from probe.experiments.responses import RESPONSES, ROLLOUTS, SampleJob
from probe.experiments.rl_runs.held_out_entropy import held_out_entropy
from probe.measurements import RowKey, Rows, row_of
from probe.measures import PairData
from probe.rl.train import METRICS, read_metrics
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.store import Store


@experiments.register("outside-run")
@dataclass(frozen=True)
class OutsideCurveJob(CheckpointJob, Experiment):
    """Accuracy, strategy and entropy of the base, of each kept step, and of a random change as large."""

    FIGURES: ClassVar = ("real_run",)
    study: str
    run: OutsideRunJob
    elicitation: Elicitation
    options: SamplingOptions = SAMPLED
    compute: Compute = field(default=Compute(), compare=False)

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": self.study, "name": self.run.name}

    @property
    def label(self) -> str:
        return f"{self.run.label} along the way"

    @property
    def checkpoint(self) -> Checkpoint:  # type: ignore[override]
        """The base."""
        return self.run.checkpoint

    @property
    def after(self) -> tuple[Checkpoint, ...]:
        """What the base is held against."""
        steps = tuple(checkpoint_of(self.run, step) for step in self.run.steps)
        return (*steps, random_change_of(self.run)) if self.run.lora else steps

    @property
    def needs(self) -> tuple[Job, ...]:
        every = (self.run.checkpoint, *self.after)
        return (*(SampleJob(each, self.elicitation, self.options, self.compute) for each in every), self.run)

    def key(self, after: Checkpoint) -> RowKey:
        """What rows of that checkpoint are about."""
        clip = self.run.grpo.loss.clip_high
        key = Pair(self.run.checkpoint, after).reward_key(self.study, self.options.temperature)
        return replace(key, clip="none" if clip is None else f"{clip:g}")

    def measure(self, store: Store) -> Rows:
        base, *others = (store.get(job.recipe) for job in self.needs[:-1])
        rows = []
        for after, made in zip(self.after, others, strict=True):
            key = self.key(after)
            texts = PairData(base.read_table(RESPONSES), made.read_table(RESPONSES), address=key.address)
            rows += measure_pair(key, texts, ALONG_THE_WAY)
            entropy = held_out_entropy(base.read_table(ROLLOUTS), made.read_table(ROLLOUTS))
            rows += [row_of(key, each) for each in entropy]
        log = read_metrics(store.get(self.run.recipe).file(METRICS))
        return [*rows, *log_rows(self.key(checkpoint_of(self.run)), log)]
