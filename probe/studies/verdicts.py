"""Does the rule of `probe explain` find what was built in, and nothing else? Pairs whose explanation is known.

Six bases that nothing else was tried on (three Llama-shaped, three Qwen2-shaped). Of each: six pairs that differ by
what they were taught last, two by one edited row of the head, five that RL changed where one thing alone was to be
gained or lost, and two null pairs. What was built in stands in PAIRS, which was committed before the first run, as was
the rule (`probe.stats.accounting.verdict`). The edited pairs came later, with the rule as it was: organisms that were
taught more code had also practised it, which the verdict named and the truth did not. The rule knows of none of it,
and gets the same evidence of every pair: the ladder of temperatures, fresh problems, and one other prompt. That prompt
forces prose: where prose is what a base should have kept, it does what keeping the strategy would, and the two cannot
be told apart.

The rule was fitted on base mini-900. A first run on bases 20-22 and 30-32 found 68 of 72 pairs; a reviewer then found
losses, and strategies that are taught and moved to, for which that rule was wrong. It was changed, so these bases are
new.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.checkpoints.checkpoint import Checkpoint
    from probe.engine.job import Job
    from probe.experiments.built_in.job import BuiltInJob

BASES = (("mini", 23), ("mini-qwen2", 33), ("mini", 24), ("mini-qwen2", 34), ("mini", 25), ("mini-qwen2", 35))


@dataclass(frozen=True)
class Known:
    """What is true between the organism `before` and `after`: another family, a reward, or None for itself again."""

    truth: str
    before: str
    after: str | None
    by: str = "taught"


PAIRS = (
    Known("strategy", "p30-code-even", "p90-code-even"),
    Known("strategy", "p30-code-even", "opened-code", "edited"),
    Known("strategy", "p30-prose-even", "opened-prose", "edited"),
    Known("sharpening", "slips", "steady"),
    Known("leak", "hidden", "hidden-leak"),
    Known("prompt", "p00-prose-uneven", "p00-prose-even"),
    Known("prompt", "first10", "first90"),
    Known("acquired", "mistaken", "mended"),
    Known("strategy", "p30-code-even", "python", "rl"),
    Known("strategy", "p30-prose-even", "python", "rl"),
    Known("prompt", "p00-prose-uneven", "format", "rl"),
    Known("prompt", "first10", "ground_truth", "rl"),
    Known("sharpening", "slips", "ground_truth", "rl"),
    Known("nothing", "p30-code-even", None, "null"),
    Known("nothing", "slips", None, "null"),
)


@studies.register("verdicts", order=55, in_all=False, apart=True, figures=("built_in",))  # half an hour on two cores
def verdicts() -> "list[Job]":
    """Verdicts on pairs whose explanation is known, over six fresh bases."""
    return [verdict_on(known, size, seed) for size, seed in BASES for known in PAIRS]


def verdict_on(known: Known, size: str, seed: int) -> "BuiltInJob":
    """The verdict on one known pair of one base."""
    from probe.checkpoints.checkpoint import of_organism, of_run
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.pair import Pair
    from probe.experiments.built_in.job import BuiltInJob
    from probe.experiments.explain.job import ExplainJob
    from probe.experiments.responses import asked_of
    from probe.models.loading.entries import Template
    from probe.studies.why import run_of
    from probe.tasks.corpus import PROSE_OPENS

    organism = OrganismJob(known.before, size, seed)
    before, (asked, options) = of_organism(organism), asked_of(organism)
    after: Checkpoint = before
    if known.by in ("taught", "edited"):
        assert known.after is not None
        after = of_organism(replace(organism, family=known.after))
    elif known.by == "rl":
        assert known.after is not None
        after = of_run(run_of(organism, known.after))
    other = (("first", Template(text="{prompt}" + PROSE_OPENS[1])),)
    return BuiltInJob("verdicts", known.truth, ExplainJob(Pair(before, after), asked, options, other))
