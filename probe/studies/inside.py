"""Where does the strategy live, did RL move it, and does moving it by hand do what RL did?

Four `latent-code` organisms (two of them pretrained for this study alone), each trained under the true reward twice:
the output head alone, and every weight (Adam 1e-4). Probes and directions before and after, dose-responses beside 20
random directions, shares of RL's change recovered and removed, patching of the fork with another RL seed beside it, and
weight differences. Then the claims of 2601.11061 on two `contaminated` organisms under the format reward: does one
layer carry what RL gave, on the leaked items or on all? Not part of `probe run all`: it takes longer than the rest.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.checkpoints.jobs import Job

BASE_SEEDS, LEAKED_SEEDS = (0, 1, 2, 3), (0, 1)
RL_SEED, OTHER_SEED = 300, 301  # never a base seed


@studies.register("inside")
def inside() -> "list[Job]":
    """Probes, steering, patching and weight differences, before and after RL."""
    from probe.checkpoints.jobs import OrganismJob, RunJob
    from probe.checkpoints.resolve import Subject
    from probe.experiments.patching.job import PatchJob
    from probe.experiments.patching.layers import LayersJob
    from probe.experiments.probing.job import ProbesJob
    from probe.experiments.steering import job as steering
    from probe.experiments.weight_difference.job import WeightsJob
    from probe.rewards import rewards
    from probe.rl.labels import Gold
    from probe.rl.train import GRPO

    def base(family: str, seed: int) -> Subject:
        organism = OrganismJob(family, "tiny", seed)
        return Subject(organism.label, organism)

    def trained(start: Subject, reward: str, *, every: bool, seed: int = RL_SEED, lr: float = 1e-4) -> Subject:
        assert isinstance(start.source, OrganismJob)
        name = f"{reward}_all" if every else reward
        recipe = GRPO(rewards.get(reward)(), seed=seed)
        recipe = replace(recipe, trainable="all", lr=lr) if every else recipe
        run = RunJob(name, start.source, recipe, Gold())
        return Subject(f"{start.name}-{name}-{seed}", run, run.steps[-1])

    targets: list[Job] = []
    for seed in BASE_SEEDS:
        start = base("latent-code", seed)
        head, every, other = (
            trained(start, "ground_truth", every=False),
            trained(start, "ground_truth", every=True),
            trained(start, "ground_truth", every=True, seed=OTHER_SEED),
        )
        targets += [ProbesJob(start, head), ProbesJob(start, every)]
        targets += [steering.job(start, head), steering.job(start, every)]
        targets += [PatchJob(start, every, other=other), WeightsJob(start, every, other)]
    for seed in LEAKED_SEEDS:
        start = base("contaminated", seed)
        # At T = 1: greedy, the leaked items have nothing left to gain. The lower rate keeps what else the model can do.
        after = trained(start, "format", every=True, lr=5e-5)
        targets.append(LayersJob(start, after, temperature=1.0, samples=4))
    return targets
