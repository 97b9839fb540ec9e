"""Did RL write new features, or turn up old ones? Dictionaries of pairs at the last residual, beside their nulls.

Three `latent-code` bases trained under `python` and under the true reward, every weight (Adam 1e-4) with a second run
of each beside it; under `python` the head alone too, where no activation can change (a null). Beside them `no-code`
under the true reward and `contaminated` under the format reward (5e-5, as in `inside`), every weight. The site is
resid.2: strategy is read best there. The recipe of dictionaries (`ORGANISMS`, here for 1000 steps) was chosen on base
seed 5 alone, by FVU, dead latents and stability, never by what it says of RL; that base is no part of the study. Doses
of its pair under `python` were looked at once, to see that they run (500 steps): the best 10 latents took its code
share from .59 to .93 (matched sets: .11); at their own level code latents brought .64 of RL's change at most.
Base 0 under `python` had been seen too, in the shorter fit of the notebook `03_features`.

Written down before any run of it:

    old features turned up    exclusive latents no more than their nulls'; `change_share` of "turned" above that of the
                              walk and of "new", whose interval holds 0; code latents fire more often after RL;
                              turning the base's own code latents brings more than half of RL's change
    new features              latents of after alone beyond every null, in each base; "new" carries most of the change;
                              turning the base's own latents brings less than half of RL's change, nor undoes it
    under the head alone      no share at all; exclusives as in `itself`
    no-code, contaminated     no latent tells strategies apart; exclusives no more than their nulls'
    what we expect            old features turned up under `python`, and under the true reward with more in "rest";
                              doses beyond matched and redirected sets, no further than the difference of means at
                              that norm; halves of the problems have most exclusives of all
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.checkpoints.pair import Pair
    from probe.engine.job import Job

BASE_SEEDS = (0, 1, 2)
SITE = "resid.2"
REWARDS = ("python", "ground_truth")
LEAKED_LR = 5e-5  # keeps what else the model can do
STEPS = 1000  # half as many as alone: over a hundred dictionaries
FIGURES = (
    "exclusive_latents",
    "change_shares",
    "latent_frequency",
    "feature_cards",
    "latent_kl",
    "dictionary_controls",
    "latent_doses",
    "minimal_sets",
)


@studies.register("features", order=60, in_all=False, apart=True, figures=FIGURES)  # a quarter of an hour
def features() -> "list[Job]":
    """Dictionaries of pairs, and latents turned by hand."""
    from dataclasses import replace

    from probe.experiments.dictionaries.dose_job import FeatureDosesJob
    from probe.experiments.dictionaries.job import ORGANISMS, FeaturesJob

    targets: list[Job] = []
    fit = replace(ORGANISMS, steps=STEPS)
    for seed in BASE_SEEDS:
        for pair in (*coded(seed), *prose(seed)):
            targets.append(FeaturesJob(pair, SITE, fit=fit))
            if pair.other is not None:  # every weight, of a base that writes code
                targets.append(FeatureDosesJob(pair, SITE, fit=fit))
    return targets


def coded(seed: int) -> "tuple[Pair, ...]":
    """A base that writes code: every weight under each reward with another run beside it, then the head alone."""
    from probe.checkpoints.checkpoint import of_organism
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.pair import Pair
    from probe.studies.inside import OTHER_SEED, trained

    base = of_organism(OrganismJob("latent-code", "tiny", seed))
    every = [
        Pair(base, *(trained(base, reward, every=True, **which) for which in ({}, {"seed": OTHER_SEED})))
        for reward in REWARDS
    ]
    return (*every, Pair(base, trained(base, REWARDS[0], every=False)))


def prose(seed: int) -> "tuple[Pair, ...]":
    """Bases that write none: the true reward, and the format reward on leaked problems."""
    from probe.checkpoints.checkpoint import of_organism
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.pair import Pair
    from probe.studies.inside import trained

    plain, leaked = (of_organism(OrganismJob(family, "tiny", seed)) for family in ("no-code", "contaminated"))
    told = trained(plain, "ground_truth", every=True)
    return Pair(plain, told), Pair(leaked, trained(leaked, "format", every=True, lr=LEAKED_LR))
