"""Do the latents that tell code from prose make the model write code? A pair's, turned by hand, before and after RL.

    dictionary of the pair -> `turned`: ranking, levels -> `doses` of either model, `smallest` sets -> `dose_estimates`

What reads a strategy need not write it: a set counts where it moves the share of code further than sets that push as
hard (`latent_dose_p`), beside the cheapest direction of the same norm. Rows of study "features".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from probe.checkpoints.pair import Pair
from probe.dictionaries.fitting.options import Fit
from probe.engine.job import Job
from probe.experiments import experiments
from probe.experiments.dictionaries.comparisons import Comparisons
from probe.experiments.dictionaries.dose_estimates import Turned, doses_of, smallest_of
from probe.experiments.dictionaries.doses import COMPUTE, DOSES, DRAWS, ONE, SIZES, LatentDosesJob
from probe.experiments.dictionaries.fit_job import BEFORE_AFTER
from probe.experiments.dictionaries.job import ORGANISMS, STUDY, default_site
from probe.experiments.dictionaries.smallest import Answers, SmallestSetsJob
from probe.experiments.experiment import PairExperiment
from probe.interventions.steering import Where
from probe.measurements import RowKey, Rows, row_of
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.store import Store


@experiments.register("feature-doses")
@dataclass(frozen=True)
class FeatureDosesJob(PairExperiment):
    """What a pair does while latents that tell code from prose are turned by hand."""

    FIGURES: ClassVar = ("latent_doses", "minimal_sets")
    pair: Pair
    site: str | None = None  # [the residual two thirds up]
    elicitation: Elicitation = CHAIN
    options: SamplingOptions = SAMPLED  # of the answers that the dictionary is fitted to
    fit: Fit = ORGANISMS
    sizes: tuple[int, ...] = SIZES
    doses: tuple[float, ...] = DOSES
    draws: int = DRAWS
    where: Where = "fork"
    turned: SamplingOptions = ONE  # of answers while latents are turned
    compute: Compute = field(default=COMPUTE, compare=False)

    def __post_init__(self) -> None:
        assert self.pair.trained and self.sides  # wrong options are told now

    @property
    def place(self) -> str:
        """Where the dictionary stands."""
        return self.site or default_site(self.pair.before)

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": STUDY, "what": "doses"}

    @property
    def label(self) -> str:
        return f"{self.pair.label} latents turned at {self.place}"

    @property
    def comparisons(self) -> Comparisons:
        """Whose own dictionary is turned: that of `features`."""
        return Comparisons(self.pair, self.elicitation, self.options, self.place, self.fit)

    @property
    def sides(self) -> tuple[LatentDosesJob, ...]:
        """Doses of the base, and of what RL made of it."""
        how = (self.sizes, self.doses, self.draws, self.where, self.turned, self.compute)
        return tuple(LatentDosesJob(self.comparisons, side, *how) for side in BEFORE_AFTER)

    @property
    def smallest(self) -> SmallestSetsJob:
        """How few do it."""
        return SmallestSetsJob(self.comparisons, self.where, self.turned, self.compute)

    @property
    def needs(self) -> tuple[Job, ...]:
        return (*self.sides, self.smallest)

    @property
    def key(self) -> RowKey:
        """What its rows are about."""
        return self.pair.reward_key(STUDY, self.turned.temperature)

    def measure(self, store: Store) -> Rows:
        found = [
            each for job in self.sides for each in doses_of(Turned.read(store.get(job.recipe).read_table()), job.side)
        ]
        found += smallest_of(Answers.read(store.get(self.smallest.recipe).read_table()))
        return [row_of(self.key, each) for each in found]
