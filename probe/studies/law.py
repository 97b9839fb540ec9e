"""The quick form of `why`: does accuracy change by what the move between strategies must give? Part of `make study`.

Four kinds of organisms (prior .3 or .65, code or prose the better strategy, boxed alike) on the six bases of `why`,
under `python`, which pays for the strategy alone. The jobs are those of `why`, which goes on from them.
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.engine.job import Job

FAMILIES = ("p30-code-even", "p30-prose-even", "p65-code-even", "p65-prose-even")
FIGURES = ("response_law_quick",)


@studies.register("law", order=40, apart=True, figures=FIGURES)
def law() -> "list[Job]":
    """Response law in brief: four kinds of organisms under a reward for code alone."""
    from probe.checkpoints.organism_job import OrganismJob
    from probe.experiments.response_law.job import LawJob
    from probe.studies.why import BASES, run_of

    organisms = [OrganismJob(family, size, seed) for size, seed in BASES for family in FAMILIES]
    return [LawJob("law", run_of(organism, "python")) for organism in organisms]
