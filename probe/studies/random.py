"""Does a reward that carries no information move a model, and is clipping why? Organisms of 650k parameters.

One setting chosen beforehand from the measured recipe (head, Adam 1.8e-3, 40 batches, 8 updates each), three clip
settings (.05, .2, none; dual clip 3 and gradient norm 1 stay on), six bases of each family, one RL seed on each, at
T = 1 and greedy. At 60k parameters noise eats the effect. What remains where the draws of the reward cancel:
`probe.studies.antithetic`.
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.engine.job import Job

CLIPS = (0.05, 0.2, None)
BASE_SEEDS = (0, 1, 2, 3, 4, 5)
RL_SEED = 200  # bases are the replicates: a second one on the same six adds little
FAMILIES = ("latent-code", "no-code")
FIGURES = ("random_reward", "random_over_time")


@studies.register("random", order=30, in_all=False, apart=True, figures=FIGURES)  # half an hour on two cores
def random() -> "list[Job]":
    """Random reward by clip setting at 650k parameters, latent-code beside no-code."""
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.run_job import RunJob
    from probe.experiments.rl_runs.job import MeasureBaseJob, MeasureRunJob
    from probe.rewards import rewards
    from probe.rl.labels import Gold
    from probe.rl.loss import Loss
    from probe.rl.train import GRPO

    organisms = [OrganismJob(family, "small", seed) for family in FAMILIES for seed in BASE_SEEDS]
    targets: list[Job] = [MeasureBaseJob("random", organism) for organism in organisms]
    for clip in CLIPS:
        loss = Loss(clip_low=clip, clip_high=clip, dual=3.0)
        for organism in organisms:
            recipe = GRPO(rewards.get("random")(seed=RL_SEED), loss=loss, lr=1.8e-3, batches=40, seed=RL_SEED)
            targets.append(MeasureRunJob("random", RunJob("random", organism, recipe, Gold())))
    return targets
