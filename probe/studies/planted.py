"""Does a non-responder respond once code is put into it, and at which dose? 0 to 30 % in further pretraining.

The six bases of `why`, each dose under `python` (pays for the strategy alone) and `ground_truth`, held against the
response law. What is expected was written down before it ran (`probe.stats.predictions`). The dose of 30 % came after a
first run of the others, in which no dose had made code the better strategy; so did its own prediction.
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.engine.job import Job

FIGURES = ("planted_dose", "planted_predictions")
REWARDS = ("python", "ground_truth")


@studies.register("planted", order=56, in_all=False, apart=True, figures=FIGURES)
def planted() -> "list[Job]":
    """Doses of code in a single-strategy organism, before RL under two rewards."""
    from probe.checkpoints.organism_job import OrganismJob
    from probe.experiments.response_law.job import LawJob
    from probe.families.planted import DOSES
    from probe.families.planted import planted as named
    from probe.studies.why import BASES, run_of

    organisms = [OrganismJob(named(dose), size, seed) for size, seed in BASES for dose in DOSES]
    return [LawJob("planted", run_of(organism, reward)) for organism in organisms for reward in REWARDS]
