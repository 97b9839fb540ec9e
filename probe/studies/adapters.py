"""How few latents beside the MLPs of before do what RL did, and what does a frozen or a random change need?

The pairs of `features` whose every weight was trained, under both rewards, on three bases (`probe adapter`). The recipe
was chosen on base seed 5 alone, by the nats that are recovered, before anything was seen of these bases. Written down
before any run of them, for shares of the nats on after's own texts unless it says otherwise:

    few latents do it         at 4 active latents a token and MLP more than half, and .8 of what all of them recover;
                              more than the frozen decoder, the walk's and the untrained at 4, in each base
    it is not sparse          at 4 less than half of what all recover, or no more than the frozen decoder
    it is a shift             a vector a layer, without any latent, recovers more than half of what all recover
    any change is so sparse   the walk's own share at 4 is as high as RL's
    what we expect            few latents under `python`, where a vector a layer recovers some (.2 to .6) of the nats
                              and most (over half) of the code share; under the true reward less at every budget; all
                              latents no better than all with a frozen decoder, which can write anything then; of a walk
                              less than of RL's change at every budget; the walk's, held against after, nothing or less

Changed once base 0 under `python` had been seen: a walk as long as RL was a hundredth of its nats there, of which
shares tell nothing, so the walk of adapters is now as large in nats.
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.engine.job import Job


@studies.register("adapters", order=63, in_all=False, apart=True, figures=("adapter",))  # ten minutes on two cores
def adapters() -> "list[Job]":
    """Sparse adapters between checkpoints, by budget, beside their nulls."""
    from probe.checkpoints.pair import Pair
    from probe.experiments.adapter.job import AdapterJob
    from probe.studies.features import BASE_SEEDS, coded

    pairs = (pair for seed in BASE_SEEDS for pair in coded(seed) if pair.other is not None)
    return [AdapterJob(Pair(pair.before, pair.after)) for pair in pairs]
