"""Which organism answers to which reward? True and spurious rewards on organisms of 60k parameters.

After 2506.10947, Fig. 1: three families x eight rewards x six bases, one RL seed on each, output head trained, several
updates per rollout batch so that clipping can act. `majority` takes its labels from the initial model's votes,
`majority_online` (TTRL) from the group; `incorrect` trains on prompts whose majority answer is wrong; `constant` is the
null: a reward without any variation must change nothing.
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.engine.job import Job

FAMILIES = ("latent-code", "no-code", "bad-code")
BASE_SEEDS = (0, 1, 2, 3, 4, 5)
RL_SEEDS = (100,)  # never a base seed: truth and training share no stream


@studies.register("tiny", order=20)
def tiny() -> "list[Job]":
    """Rewards x organisms at 60k parameters."""
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.run_job import RunJob
    from probe.experiments.rl_runs.job import MeasureBaseJob, MeasureRunJob
    from probe.rewards import rewards
    from probe.rl.labels import Gold, LabelSource, OfflineMajority, WrongMajority
    from probe.rl.train import GRPO

    labels: dict[str, tuple[str, LabelSource]] = {
        "ground_truth": ("ground_truth", Gold()),
        "random": ("random", Gold()),
        "majority": ("ground_truth", OfflineMajority()),
        "format": ("format", Gold()),
        "incorrect": ("incorrect", WrongMajority()),
        "python": ("python", Gold()),
        "majority_online": ("majority_online", Gold()),
        "constant": ("constant", Gold()),
    }
    organisms = [OrganismJob(family, "tiny", seed) for family in FAMILIES for seed in BASE_SEEDS]
    targets: list[Job] = [MeasureBaseJob("tiny", organism) for organism in organisms]
    for family in FAMILIES:
        for name, (reward, source) in labels.items():
            for seed in RL_SEEDS:
                treatment = rewards.get(reward)(**({"seed": seed} if reward == "random" else {}))
                recipe = GRPO(treatment, seed=seed)
                runs = [RunJob(name, o, recipe, source) for o in organisms if o.family == family]
                targets += [MeasureRunJob("tiny", run) for run in runs]
    return targets
