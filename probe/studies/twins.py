"""The quick form of `antithetic`: what does a random reward leave once its draws cancel? Part of `make study`.

Two priors for code on the six bases of `law`, clip .2 and the paper's "no clip" (old log-probs dropped), ten batches.
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.engine.job import Job

SETTINGS = ("0.2", "old_dropped")
FIGURES = ("random_antithetic_quick",)


@studies.register("twins", order=41, apart=True, figures=FIGURES)
def twins() -> "list[Job]":
    """Random reward and its twin in brief: two clip settings."""
    from dataclasses import replace

    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.run_job import RunJob
    from probe.experiments.antithetic.job import AntitheticJob
    from probe.rl.labels import Gold
    from probe.studies import antithetic
    from probe.studies.why import BASES, BATCHES

    targets: list[Job] = []
    for size, seed in BASES:
        for organism in (OrganismJob(family, size, seed) for family in antithetic.FAMILIES):
            for setting in SETTINGS:
                recipe = replace(antithetic.recipe(setting, organism.grammar.max_new), batches=BATCHES)
                targets.append(AntitheticJob("twins", setting, RunJob("random", organism, recipe, Gold())))
    return targets
