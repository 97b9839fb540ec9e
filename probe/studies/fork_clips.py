"""Under a random reward, what does the clip cut where a response chooses its strategy?

The runs of `antithetic` under clip .05 and .2 (eight bases of each prior), trained once more and watched. 2506.10947
blames the clip: a token that is likely already cannot be pushed past the upper bound (above pi_old = 1/1.2 for clip
.2), so that only unlikely ones are cut above. Written down before the first run:

    upper-less-likely    clip .2: of the two ways to open, the less likely one is cut above more often than the other,
                         code where its prior is .3, prose where it is .65
    fork-more            clip .2, old probability between .1 and 1/1.2: the fork is cut more often, on either side, than
                         later tokens as likely: its pushes point one way in every response, those of others do not
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.engine.job import Job

FIGURES = ("fork_clips",)


@studies.register("fork_clips", order=62, in_all=False, apart=True, figures=FIGURES)  # 5 minutes on two cores
def fork_clips() -> "list[Job]":
    """What the clip cuts at the fork under a random reward: two clips, two priors, eight bases."""
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.run_job import RunJob
    from probe.experiments.fork_clips.job import ForkClipsJob
    from probe.rl.labels import Gold
    from probe.studies.antithetic import BASES, CLIPS, FAMILIES, recipe

    targets: list[Job] = []
    for size, seed in BASES:
        for organism in (OrganismJob(family, size, seed) for family in FAMILIES):
            for setting in CLIPS:
                run = RunJob("random", organism, recipe(setting, organism.grammar.max_new), Gold())
                targets.append(ForkClipsJob("fork_clips", setting, run))
    return targets
