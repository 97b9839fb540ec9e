"""Which dictionaries does a claim about a pair need? The pair's own, and those in which nothing should be new.

    rl          before and after                                                     the claim
    seed        the same, the dictionary begun elsewhere                             is it stable?
    walk        before, and before with its weights moved as far in random directions (runs made here)
    other run   before, and another seed of the run, where there is one
    itself      before, and before
    halves      before over one half of the problems, and before over the other: rows that are no pairs
    frozen decoder, frozen encoder     before and after, half of the dictionary left as it was drawn: what learning
                                       little scores on the same measures (2602.14111)
    untrained                          nothing fitted but a threshold: made beside them, no job of its own

All read the same texts (but for halves, which share a reading with `itself`) and are fitted by one recipe.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.pair import Pair
from probe.dictionaries.fitting.options import Fit, Frozen
from probe.experiments.dictionaries.fit_job import DictionaryJob, Trainer
from probe.experiments.dictionaries.readings import ReadingJob
from probe.experiments.responses import SampleJob
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import Compute, SamplingOptions

RL, SEED, WALK, OTHER, ITSELF, HALVES = "rl", "seed", "walk", "other run", "itself", "halves"
NULLS = (WALK, ITSELF, HALVES)
UNTRAINED = "untrained"
FROZEN: dict[str, Frozen] = {"frozen decoder": "W_dec", "frozen encoder": "W_enc"}


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
        """The texts."""
        return written_by(self.pair, self.elicitation, self.options, self.compute)

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
        for name, part in FROZEN.items():
            found[name] = DictionaryJob((before, after), replace(self.fit, frozen=part))
        return found


def written_by(
    pair: Pair, elicitation: Elicitation, options: SamplingOptions, compute: Compute
) -> tuple[SampleJob, ...]:
    """Before's answers, and after's; both sides of a null pair answer with other draws."""
    again = replace(options, seed=options.seed + int(pair.is_null))
    sides = ((pair.before, options), (pair.trained, again))
    return tuple(SampleJob(each, elicitation, how, compute) for each, how in sides)


def alone(
    checkpoint: Checkpoint,
    elicitation: Elicitation,
    options: SamplingOptions,
    site: str,
    fit: Fit,
    compute: Compute,
    trainer: Trainer = "probe",
) -> DictionaryJob:
    """Of one checkpoint, over its own answers."""
    written = (SampleJob(checkpoint, elicitation, options, compute),)
    return DictionaryJob(
        (ReadingJob(checkpoint, written, site, compute=compute),), fit, (checkpoint.name,), trainer=trainer
    )
