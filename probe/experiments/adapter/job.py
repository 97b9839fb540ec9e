"""Which share of RL's change do a few latents beside the MLPs of before recover, and at which L0?

    answers of both -> adapters by budget (`fits`) -> what they leave, and what before answers with them (`trials`)
    -> rows (`estimates`), study "adapter"

Trained and told on different halves of the problems. A share is never told without that of adapters that learned less
(a frozen random decoder, nothing), or something else (a random change as large as RL's). After 2602.20904.
Left out: the MLPs' part of the change alone (its base is after with the MLPs of before); other seeds of training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.pair import Pair
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments import experiments
from probe.experiments.adapter.estimates import Graded, answered_of, graded_of, latents_of, nats_of, recovered_of
from probe.experiments.adapter.fits import ORGANISMS, OUTSIDE, Training
from probe.experiments.adapter.trials import ANSWERS, COMPARED, LATENTS, NATS, AdapterTrialsJob
from probe.experiments.dictionaries.comparisons import written_by
from probe.experiments.experiment import PairExperiment
from probe.experiments.measuring import is_destroyed
from probe.experiments.responses import RESPONSES, SampleJob
from probe.measurements import RowKey, Rows, row_of
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.store import Store

STUDY = "adapter"
FEW = (0, 1, 4, 16)  # active latents a token and MLP, at most; all of them come behind these


def default_training(checkpoint: Checkpoint) -> Training:
    """By whether it was made here."""
    return OUTSIDE if checkpoint.is_outside else ORGANISMS


def rungs_of(training: Training, active: Sequence[int] | None = None) -> tuple[int, ...]:
    """Budgets in order: `active`, else those of FEW that are some of the latents, and all of them."""
    few = [k for k in FEW if k < training.n_latents]
    return tuple(sorted({*(active if active is not None else (*few, training.n_latents))}))


@experiments.register("adapter")
@dataclass(frozen=True)
class AdapterJob(PairExperiment):
    """Adapters between before and after, at every budget."""

    FIGURES: ClassVar = ("adapter",)
    pair: Pair
    elicitation: Elicitation = CHAIN
    options: SamplingOptions = SAMPLED
    training: Training = ORGANISMS
    rungs: tuple[int, ...] = (*FEW, ORGANISMS.n_latents)
    compute: Compute = field(default=Compute(batch=256), compare=False)

    def __post_init__(self) -> None:
        if not self.rungs or sorted(set(self.rungs)) != list(self.rungs) or self.rungs[-1] < 1:
            what = f"budgets {', '.join(map(str, self.rungs)) or 'none'}"
            raise BadInput(what, where="adapter", do="give rising numbers of latents, the last of them 1 or more")
        assert all(job.fits for job in self.trials)  # wrong options, and a base alone, are told now

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": STUDY}

    @property
    def label(self) -> str:
        return f"{self.pair.label} adapters"

    @property
    def written(self) -> tuple[SampleJob, ...]:
        """The texts."""
        return written_by(self.pair, self.elicitation, self.options, self.compute)

    @property
    def trials(self) -> tuple[AdapterTrialsJob, ...]:
        """One a comparison."""
        how = (self.pair, self.written, self.training, self.rungs)
        return tuple(AdapterTrialsJob(*how, of, self.compute) for of in COMPARED)

    @property
    def needs(self) -> tuple[Job, ...]:
        return (*self.trials, *self.written)

    @property
    def key(self) -> RowKey:
        """What its rows are about."""
        return self.pair.reward_key(STUDY, self.options.temperature)

    def measure(self, store: Store) -> Rows:
        before, after = (store.get(job.recipe).read_table(RESPONSES) for job in self.written)
        tables = {
            name: pa.concat_tables([store.get(job.recipe).read_table(name) for job in self.trials])
            for name in (NATS, LATENTS, ANSWERS)
        }
        sides = Graded.own(before), Graded.own(after)
        found = [*recovered_of(nats_of(tables[NATS])), *latents_of(tables[LATENTS], len(set(sides[0].problems)))]
        found += answered_of(*sides, graded_of(tables[ANSWERS]))
        destroyed = is_destroyed(before, after, self.key.address)
        return [row_of(self.key, each, destroyed) for each in found]
