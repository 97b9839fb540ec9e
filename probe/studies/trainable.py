"""Does it matter what is trained? The output head alone, as in `tiny`, beside every weight, at T = 1 and greedy.

`latent-code` and `no-code` on the six bases of `tiny`, under a true, a wrong-label and a random reward; every weight by
Adam at 1e-4. Beside each run a walk as long as it and its own change backwards (`probe.experiments.null_responses`).
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.engine.job import Job

FAMILIES = ("latent-code", "no-code")
REWARDS = ("ground_truth", "incorrect", "random")
FIGURES = ("head_and_all",)
ALL_WEIGHTS = 1e-4  # learning rate


@studies.register("trainable", order=25, apart=True, figures=FIGURES)
def trainable() -> "list[Job]":
    """The output head beside every weight, with null changes as large."""
    from dataclasses import replace

    from probe.experiments.response_law.job import LawJob
    from probe.experiments.rl_runs.job import MeasureRunJob
    from probe.studies.tiny import tiny

    heads = [
        job.run
        for job in tiny()
        if isinstance(job, MeasureRunJob) and job.run.organism.family in FAMILIES and job.run.name in REWARDS
    ]
    whole = [
        replace(run, name=f"{run.name}_all", grpo=replace(run.grpo, trainable="all", lr=ALL_WEIGHTS)) for run in heads
    ]
    return [LawJob("trainable", run) for run in (*heads, *whole)]
