"""Does a model go by a cue that conflicts with what it computes, does RL change that, and does removing it help?

Organisms whose prompts claimed an answer that was right in 80 % of the texts, and their twins whose cues meant nothing
(`probe.families.cued`), six bases; RL for ten batches on the output head, on problems that carry cues as they were
taught, under the true reward and under `python`, which knows nothing of answers. What was expected was written down
before it ran (`probe.stats.cue_predictions`), after a look at base mini-0, which is not among the six.
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.engine.job import Job

FAMILIES = ("cued80", "cued-shuffled")
REWARDS = ("ground_truth", "python")


@studies.register("cues", order=61, in_all=False, apart=True, figures=("cues", "cue_predictions"))  # 10 minutes
def cues() -> "list[Job]":
    """Cues right, wrong and removed, before and after RL."""
    from probe.checkpoints.organism_job import OrganismJob
    from probe.experiments.cues.job import CueJob
    from probe.studies.paths import BASES
    from probe.studies.why import run_of

    organisms = [OrganismJob(family, size, seed) for size, seed in BASES for family in FAMILIES]
    return [CueJob("cues", run_of(organism, reward)) for organism in organisms for reward in REWARDS]
