"""What does RL give beyond asking the base otherwise, and what does it cost in nats? Two kinds of organisms.

`p30-code-even` has a better strategy that it seldom uses, `p00-prose-even` has one; six bases of each, the five rewards
of `why`, the output head alone and all weights (Adam 1e-4) for ten batches; under two of them one vector added at
resid.1. Beside RL, CoT decoding, fine-tuning on one example, and where there are two strategies steering. What is
expected was written down before it ran (`probe.stats.elicitation_predictions`); whether the ways run at all was seen
on one base of each (mini, 0), with a run of one vector.
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.run_job import RunJob
    from probe.engine.job import Job

FAMILIES = ("p30-code-even", "p00-prose-even")
ALL_WEIGHTS = 1e-4  # learning rate
VECTOR, VECTOR_LR = "resid.1", 2e-2  # 80 updates reach 1.6 a coordinate: code and prose are some 10 apart in 64 of them
ON_VECTOR = ("python", "ground_truth")
EXAMPLE_STEPS, EXAMPLE_LR = 16, 3e-4  # so no weight moves further than under RL of all weights
FIGURES = ("elicitation_scale", "elicitation_predictions")


@studies.register("elicitation", order=58, in_all=False, apart=True, figures=FIGURES)  # forty minutes
def elicitation() -> "list[Job]":
    """Accuracy per nat: elicited without RL, and trained under five rewards."""
    from probe.checkpoints.organism_job import OrganismJob
    from probe.studies.why import BASES

    return [told(OrganismJob(family, size, seed)) for size, seed in BASES for family in FAMILIES]


def told(organism: "OrganismJob") -> "Job":
    """Every way of one base; a direction from prose to code is there where it writes both."""
    from probe.experiments.elicitation_scale.job import ElicitationJob
    from probe.experiments.elicitation_scale.one_example import ExampleJob

    examples = tuple(ExampleJob(organism, EXAMPLE_STEPS, EXAMPLE_LR, right) for right in (True, False))
    both = not organism.family.startswith("p00")
    return ElicitationJob("elicitation", organism, runs(organism), examples, steered=both)


def runs(organism: "OrganismJob") -> "tuple[RunJob, ...]":
    """Each reward on the head, then on all weights, then two of them on one vector."""
    from dataclasses import replace

    from probe.studies.why import ON_ALL, ON_SOME, run_of

    heads = [run_of(organism, name) for name in (*ON_ALL, *ON_SOME)]
    whole = [
        replace(run, name=f"{run.name}_all", grpo=replace(run.grpo, trainable="all", lr=ALL_WEIGHTS)) for run in heads
    ]
    vectors = [
        replace(run, name=f"{run.name}_vector", grpo=replace(run.grpo, trainable=VECTOR, lr=VECTOR_LR))
        for run in heads
        if run.name in ON_VECTOR
    ]
    return (*heads, *whole, *vectors)
