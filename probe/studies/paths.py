"""Do a few tokens carry what RL did, and is the path of the weights a line? Runs under three rewards, every batch kept.

Six bases that prefer prose and know code as the better strategy (prior .3; three Llama-shaped, three Qwen2-shaped):
those of `why` but for mini-0, which was looked at while the experiments were written, and mini-3 in its place. Ten
batches as in `why`, under a reward that knows the strategy alone, the true one, and a random one. Of each run: its
weight path beside random walks (`probe.experiments.weight_path`), and cross-sampling with its base
(`probe.experiments.cross_sampling`). Under the true reward also with every weight trained. What is expected was written
down before it ran (`probe.stats.path_predictions`).
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.run_job import RunJob
    from probe.engine.job import Job

BASES = (("mini-qwen2", 10), ("mini", 1), ("mini-qwen2", 11), ("mini", 2), ("mini-qwen2", 12), ("mini", 3))
FAMILY = "p30-code-even"
REWARDS = ("python", "ground_truth", "random")
FIGURES = ("cross_sampling", "weight_path", "path_predictions")
STUDY = "paths"


@studies.register(STUDY, order=59, in_all=False, apart=True, figures=FIGURES)  # a quarter of an hour on two cores
def paths() -> "list[Job]":
    """Tokens that carry RL's change, and the shape of its path, under three rewards."""
    from dataclasses import replace

    from probe.checkpoints.checkpoint import of_organism, of_run
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.pair import Pair
    from probe.experiments.cross_sampling.job import FEW, CrossSampleJob
    from probe.experiments.responses import asked_of
    from probe.experiments.weight_path.job import WeightPathJob

    targets: list[Job] = []
    for size, seed in BASES:
        organism = OrganismJob(FAMILY, size, seed)
        asked, _ = asked_of(organism)
        options = replace(FEW, max_new=organism.grammar.max_new)
        for run in runs(organism):
            pair = Pair(of_organism(organism), of_run(run))
            targets += [WeightPathJob(run, STUDY), CrossSampleJob(pair, asked, options, study=STUDY)]
    return targets


def runs(organism: "OrganismJob") -> "tuple[RunJob, ...]":
    """Each reward on the head, the true one on all weights too; every batch kept."""
    from dataclasses import replace

    from probe.rewards import rewards
    from probe.studies.elicitation import ALL_WEIGHTS
    from probe.studies.why import RL_SEED, run_of

    found = []
    for name in REWARDS:
        run = run_of(organism, name)
        grpo = replace(run.grpo, save_every=1)
        if name == "random":
            grpo = replace(grpo, reward=rewards.get("random")(seed=RL_SEED))
        found.append(replace(run, grpo=grpo))
    truth = found[REWARDS.index("ground_truth")]
    whole = replace(truth.grpo, trainable="all", lr=ALL_WEIGHTS)
    return (*found, replace(truth, name="ground_truth_all", grpo=whole))
