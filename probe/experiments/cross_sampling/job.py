"""How few tokens carry what RL did? The base writes and RL steps in, RL writes and the base steps in; by budget.

    crossed (at T = 1, greedy) -> accuracy, code share, parse rate by budget; of RL's change, what swaps recover, remove

After 2603.22446: 83 to 98 % of next-token distributions are unchanged, swapping less than 4 % of the base's tokens
recovers RL, and about 5 % of RL's collapses it. Null: as many swaps at random places. Left out: budgets that a model
spends over its own text in another way than by divergence (entropy, position).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pyarrow.compute as pc

from probe.checkpoints.pair import Pair
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments import experiments
from probe.experiments.cross_sampling.crossing import COMPUTE, CrossJob
from probe.experiments.cross_sampling.estimates import Arms, estimates
from probe.experiments.experiment import PairExperiment
from probe.experiments.measuring import is_destroyed
from probe.measurements import Rows, row_of
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.store import Store

STUDY = "cross-sampling"
FEW = replace(SAMPLED, samples=4)


@experiments.register("cross-sample")
@dataclass(frozen=True)
class CrossSampleJob(PairExperiment):
    """Both directions of one pair, at T = 1 and greedy."""

    FIGURES: ClassVar = ("cross_sampling",)
    pair: Pair
    elicitation: Elicitation = CHAIN
    options: SamplingOptions = FEW  # of what is not greedy
    compute: Compute = field(default=COMPUTE, compare=False)
    study: str = STUDY

    def __post_init__(self) -> None:
        if not self.options.temperature:
            raise BadInput(
                "greedy alone", where="cross-sampling", do="leave the temperature at 1: greedy comes with it"
            )
        assert self.needs  # wrong options are told now

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": self.study}

    @property
    def label(self) -> str:
        return f"{self.pair.label} cross-sampling"

    @property
    def needs(self) -> tuple[Job, ...]:
        """Sampled, then greedy."""
        return tuple(
            CrossJob(self.pair, self.elicitation, way, self.compute) for way in (self.options, self.options.greedy)
        )

    def measure(self, store: Store) -> Rows:
        rows = []
        for job, way in zip(self.needs, (self.options, self.options.greedy), strict=True):
            table, key = store.get(job.recipe).read_table(), self.pair.reward_key(self.study, way.temperature)
            own = table.filter(pc.equal(table["chosen"], "own"))
            before, after = (own.filter(pc.equal(own["writer"], side)) for side in ("before", "after"))
            destroyed = is_destroyed(before, after, key.address)
            rows += [row_of(key, each, destroyed) for each in estimates(Arms.read(table))]
        return rows
