"""Is a high recovery by one layer a sign that RL's gain lives there (2601.11061)?

Six `contaminated` organisms, which read half of the test set, under the format reward, every weight trained: what
rises is accuracy on the leaked items. Each module of the trained model is lent to the base alone, its output and its
weights, beside changes as large in random directions.
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.engine.job import Job

BASE_SEEDS = (0, 1, 2, 3, 4, 5)


@studies.register("layers", order=42, in_all=False, apart=True, figures=("one_layer",))  # ten minutes on two cores
def layers() -> "list[Job]":
    """One layer of the trained model at a time, on six organisms with leaked items."""
    from probe.checkpoints.checkpoint import of_organism
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.pair import Pair
    from probe.experiments.patching.layers import LayersJob
    from probe.rollouts.elicitation import CHAIN
    from probe.rollouts.options import SamplingOptions
    from probe.studies.inside import trained

    targets: list[Job] = []
    for seed in BASE_SEEDS:
        base = of_organism(OrganismJob("contaminated", "tiny", seed))
        # At T = 1: greedy, the leaked items have nothing left to gain. The lower rate keeps what else the model can do.
        after = trained(base, "format", every=True, lr=5e-5)
        targets.append(LayersJob(Pair(base, after), CHAIN, SamplingOptions(samples=4)))
    return targets
