"""In which ways is one base asked, moved or trained? Each with its answers, nulls beside what they are the null of.

What is sampled at T = 1 is there greedily too, so that greedy answers of a run are not held against sampled ones alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from probe.checkpoints.checkpoint import of_organism
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.run_job import RunJob
from probe.experiments.elicitation_scale.answers import CotJob, SteeredJob, TaughtJob
from probe.experiments.elicitation_scale.nats import Answers
from probe.experiments.elicitation_scale.one_example import ExampleJob
from probe.experiments.null_responses import NullResponsesJob
from probe.experiments.responses import RunResponsesJob, SampleJob, asked_of
from probe.interventions.steering import Where
from probe.tasks.corpus import CODE_FIRST, PROSE_OPENS

AS_ASKED, COT = "T = 1", "CoT decoding"
COLDER = (0.6, 0.3)
ASKED = len(COLDER) + 2  # ways that change the temperature alone: as asked, colder, greedy
GREEDY, WALK = ", greedy", ", walk"
STEERED: dict[Where, str] = {"all": "steered", "fork": "steered at the fork"}
RANDOM: dict[Where, str] = {"all": "random direction", "fork": "random direction at the fork"}
EXAMPLE = {True: "one right example", False: "one wrong example"}  # by whether it is right


@dataclass(frozen=True)
class Way:
    """One way of answering: name, whose answers, the run behind them where there is one, and whether it is a null."""

    name: str
    answers: Answers
    run: RunJob | None = None
    null: bool = False

    @property
    def is_changed(self) -> bool:
        """Whether the model is not the base as it was."""
        return not isinstance(self.answers, SampleJob | CotJob)


def asked_otherwise(organism: OrganismJob) -> tuple[Way, ...]:
    """The base itself: as asked first, colder, greedy, with first words forced, by CoT decoding."""
    base, (asked, sampled) = of_organism(organism), asked_of(organism)
    forced = {"forced code": CODE_FIRST, "forced prose": PROSE_OPENS[0]}
    found = [Way(AS_ASKED, SampleJob(base, asked, sampled))]
    found += [Way(f"T = {t:g}", SampleJob(base, asked, replace(sampled, temperature=t))) for t in COLDER]
    found.append(Way("greedy", SampleJob(base, asked, sampled.greedy)))
    for name, first in forced.items():
        found.append(Way(name, SampleJob(base, replace(asked, prefix=first), sampled)))
        found.append(Way(name + GREEDY, SampleJob(base, replace(asked, prefix=first), sampled.greedy)))
    return (*found, Way(COT, CotJob(organism, asked, sampled.greedy)))


def moved(organism: OrganismJob, steered: bool, examples: Iterable[ExampleJob]) -> tuple[Way, ...]:
    """The base moved without RL: steered and at random, after a right example and after a wrong one."""
    (asked, sampled), found = asked_of(organism), []
    for where, name in STEERED.items() if steered else ():
        job = SteeredJob(organism, asked, sampled, where)
        found += [Way(name, job), Way(name + GREEDY, replace(job, options=sampled.greedy))]
        found.append(Way(RANDOM[where], replace(job, random=True), null=True))
    for example in examples:
        taught, null = TaughtJob(example, asked, sampled), not example.right
        found.append(Way(EXAMPLE[example.right], taught, null=null))
        if not null:
            found.append(Way(EXAMPLE[True] + GREEDY, replace(taught, options=sampled.greedy)))
    return tuple(found)


def trained(runs: Iterable[RunJob]) -> tuple[Way, ...]:
    """Each run, sampled and greedy; beside one that trained a vector, a walk as long as it."""
    found = []
    for run in runs:
        asked, sampled = asked_of(run.organism)
        found.append(Way(f"RL {run.name}", RunResponsesJob(run, asked, sampled), run))
        found.append(Way(f"RL {run.name}{GREEDY}", RunResponsesJob(run, asked, sampled.greedy), run))
        if run.grpo.trainable not in ("head", "all"):
            found.append(Way(f"RL {run.name}{WALK}", NullResponsesJob(run, "walk", asked, sampled), run, null=True))
    return tuple(found)
