"""Which dictionaries does a claim about a pair need? The pair's own, and those in which nothing should be new.

    rl          before and after                                                     the claim
    seed        the same, the dictionary begun elsewhere                             is it stable?
    walk        before, and before with its weights moved as far in random directions (runs made here)
    other run   before, and another seed of the run, where there is one
    itself      before, and before
    halves      before over one half of the problems, and before over the other: rows that are no pairs

All read the same texts (but for halves, which share a reading with `itself`) and are fitted by one recipe.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from probe.checkpoints.pair import Pair
from probe.dictionaries.options import Fit
from probe.experiments.dictionaries.fit_job import DictionaryJob
from probe.experiments.dictionaries.readings import ReadingJob
from probe.experiments.responses import SampleJob
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import Compute, SamplingOptions

RL, SEED, WALK, OTHER, ITSELF, HALVES = "rl", "seed", "walk", "other run", "itself", "halves"
NULLS = (WALK, ITSELF, HALVES)


@dataclass(frozen=True)
class Comparisons:
    """The jobs of one pair, at one site."""

    pair: Pair
    elicitation: Elicitation
    options: SamplingOptions
    site: str
    fit: Fit
    compute: Compute = field(default=Compute(), compare=False)

    @property
    def written(self) -> tuple[SampleJob, ...]:
        """The texts: before's answers, and after's; both sides of a null pair answer with other draws."""
        again = replace(self.options, seed=self.options.seed + int(self.pair.is_null))
        sides = ((self.pair.before, self.options), (self.pair.trained, again))
        return tuple(SampleJob(each, self.elicitation, options, self.compute) for each, options in sides)

    @property
    def before(self) -> ReadingJob:
        """What before holds."""
        return ReadingJob(self.pair.before, self.written, self.site, compute=self.compute)

    @property
    def dictionaries(self) -> Mapping[str, DictionaryJob]:
        """By the name of the comparison, the claim first."""
        before, after = self.before, replace(self.before, checkpoint=self.pair.trained)
        begun = replace(self.fit, seed=(*self.fit.seed, "again"))
        found = {RL: DictionaryJob((before, after), self.fit), SEED: DictionaryJob((before, after), begun)}
        if self.pair.trained.run is not None:
            found[WALK] = DictionaryJob((before, replace(after, walk=True)), self.fit)
        if self.pair.other is not None:
            found[OTHER] = DictionaryJob((before, replace(before, checkpoint=self.pair.other)), self.fit)
        found[ITSELF] = DictionaryJob((before, before), self.fit)
        found[HALVES] = DictionaryJob((before,), self.fit, halves=True)
        return found
