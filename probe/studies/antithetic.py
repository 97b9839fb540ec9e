"""What does a random reward leave once its draws cancel, and is clipping why? Every run beside its antithetic twin.

Priors for code on either side of a half (.65, .3), code the better strategy; eight bases (four Llama-shaped, four
Qwen2-shaped); clip .05 and .2, one side of it alone and none (dual clip
3 stays in all of these), the paper's "no clip" (old log-probs dropped), and RLOO
without clip. Beside each the walk of its length (`probe.interventions.random_walk`). What is expected was written down
before it ran (`probe.stats.antithetic_predictions`).
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.engine.job import Job
    from probe.rl.train import GRPO

BASES = tuple((size, first + i) for i in range(4) for size, first in (("mini", 40), ("mini-qwen2", 50)))
FAMILIES = ("p65-code-even", "p30-code-even")
FIGURES = ("random_antithetic", "antithetic_predictions")
RL_SEED, BATCHES = 500, 20  # never a base seed
CLIPS = {"0.05": 0.05, "0.2": 0.2}
VARIANTS = ("upper_clip", "lower_clip", "dual", "old_dropped", "rloo")
SETTINGS = (*CLIPS, *VARIANTS)


@studies.register("antithetic", order=57, in_all=False, apart=True, figures=FIGURES)  # an hour, two cores
def antithetic() -> "list[Job]":
    """Random reward and its twin with every reward turned round, by clip setting."""
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.run_job import RunJob
    from probe.experiments.antithetic.job import AntitheticJob
    from probe.rl.labels import Gold

    targets: list[Job] = []
    for size, seed in BASES:
        for organism in (OrganismJob(family, size, seed) for family in FAMILIES):
            for setting in SETTINGS:
                run = RunJob("random", organism, recipe(setting, organism.grammar.max_new), Gold())
                targets.append(AntitheticJob("antithetic", setting, run))
    return targets


def recipe(setting: str, max_new: int) -> "GRPO":
    """The run of that setting; `dual` clips nothing but a ratio above 3 at A < 0."""
    from dataclasses import replace

    from probe.rewards import rewards
    from probe.rl.loss import Loss
    from probe.rl.train import GRPO
    from probe.rl.variants import variants

    clip = CLIPS.get(setting, 0.2)
    reward = rewards.get("random")(seed=RL_SEED)
    loss = Loss(clip_low=clip, clip_high=clip, dual=3.0)
    plain = GRPO(reward, loss=loss, batches=BATCHES, max_new=max_new, save_every=5, seed=RL_SEED)
    if setting in CLIPS:
        return plain
    if setting == "dual":
        return replace(plain, loss=replace(loss, clip_low=None, clip_high=None))
    return variants.get(setting)(plain)
