"""What does RL give beyond asking the base otherwise, and what does it cost in nats? Two kinds of organisms.

`p30-code-even` has a better strategy that it seldom uses, `p00-prose-even` has one; six bases of each, the five rewards
of `why`, the output head alone and all weights (Adam 1e-4) for ten batches.
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.run_job import RunJob
    from probe.engine.job import Job

FAMILIES = ("p30-code-even", "p00-prose-even")
ALL_WEIGHTS = 1e-4  # learning rate


@studies.register("elicitation", order=58, in_all=False, apart=True, figures=("elicitation_scale",))  # half an hour
def elicitation() -> "list[Job]":
    """Accuracy per nat: elicited without RL, and trained under five rewards."""
    from probe.checkpoints.organism_job import OrganismJob
    from probe.experiments.elicitation_scale.job import ElicitationJob
    from probe.studies.why import BASES

    organisms = [OrganismJob(family, size, seed) for size, seed in BASES for family in FAMILIES]
    return [ElicitationJob("elicitation", organism, runs(organism)) for organism in organisms]


def runs(organism: "OrganismJob") -> "tuple[RunJob, ...]":
    """Each reward on the head, then on all weights."""
    from dataclasses import replace

    from probe.studies.why import ON_ALL, ON_SOME, run_of

    heads = [run_of(organism, name) for name in (*ON_ALL, *ON_SOME)]
    whole = [
        replace(run, name=f"{run.name}_all", grpo=replace(run.grpo, trainable="all", lr=ALL_WEIGHTS)) for run in heads
    ]
    return (*heads, *whole)
