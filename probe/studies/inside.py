"""Where does the strategy live, did RL move it, and does moving it by hand do what RL did?

Six `latent-code` organisms, those of `tiny`, each trained under the true reward twice: the output head alone, and every
weight (Adam 1e-4). Probes and directions before and after, dose-responses beside 20 random directions, shares of RL's
change recovered and removed, patching of the fork with another RL seed beside it, and weight differences, beside those
of the same recipe under the random reward: what a change of weights owes to no information at all. Whether one
layer carries what RL gave: `probe.studies.layers`. Not part of `probe run all`: it takes longer than the rest.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.checkpoints.checkpoint import Checkpoint
    from probe.engine.job import Job

BASE_SEEDS = (0, 1, 2, 3, 4, 5)
RL_SEED, OTHER_SEED = 300, 301  # never a base seed


@studies.register("inside", order=40, in_all=False)  # as long as the rest together
def inside() -> "list[Job]":
    """Probes, steering, patching and weight differences, before and after RL."""
    from probe.checkpoints.checkpoint import of_organism
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.pair import Pair
    from probe.experiments.patching.job import PatchJob
    from probe.experiments.probing.job import ProbesJob
    from probe.experiments.steering.job import SteerJob
    from probe.experiments.weight_difference.job import WeightsJob

    targets: list[Job] = []
    for seed in BASE_SEEDS:
        base = of_organism(OrganismJob("latent-code", "tiny", seed))
        head, every, other, noise = (
            trained(base, "ground_truth", every=False),
            trained(base, "ground_truth", every=True),
            trained(base, "ground_truth", every=True, seed=OTHER_SEED),
            trained(base, "random", every=True),
        )
        targets += [ProbesJob(Pair(base, head)), ProbesJob(Pair(base, every))]
        targets += [SteerJob(Pair(base, head)), SteerJob(Pair(base, every))]
        targets += [PatchJob(Pair(base, every, other)), WeightsJob(Pair(base, every, other))]
        targets.append(WeightsJob(Pair(base, noise, every)))  # its cosine is that with the true reward's change
    return targets


def trained(base: "Checkpoint", reward: str, *, every: bool, seed: int = RL_SEED, lr: float = 1e-4) -> "Checkpoint":
    """What GRPO makes of a base: of its output head, or of every weight at that learning rate."""
    from probe.checkpoints.checkpoint import Checkpoint
    from probe.checkpoints.run_job import RunJob
    from probe.rewards import rewards
    from probe.rl.labels import Gold
    from probe.rl.train import GRPO

    assert base.organism is not None
    name = f"{reward}_all" if every else reward
    recipe = GRPO(rewards.get(reward)(**({"seed": seed} if reward == "random" else {})), seed=seed)
    recipe = replace(recipe, trainable="all", lr=lr) if every else recipe
    run = RunJob(name, base.organism, recipe, Gold())
    return Checkpoint(f"{base.name}-{name}-{seed}", run, run.steps[-1])
