"""What does each variant of the recipe change? One organism, one result table, six bases.

`p30-code-even` has a better strategy that it seldom uses and arithmetic that can get better. The true reward for ten
batches on the output head (`why`), then under every variant of the recipe (`probe.rl.variants`; `antithetic` is one of
the random reward alone), on one example (another for each base, so that intervals hold for the choice of the example
too), under agreement with the own group (TTRL), and under two compound rewards. What was expected was
written down before it ran (`probe.stats.variant_predictions`), after a look at base mini-0, which is not among the six.

Left out: RLCR, as the organisms state no confidence and all of theirs would fail its format; RLSF (2507.21931), as a
reward here sees texts and no log-probs (`probe.tokens.self_confidence` has its confidence, not its reward model).
"""

from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.run_job import RunJob
    from probe.engine.job import Job

FAMILY = "p30-code-even"
TRUTH, ONE_SHOT, VOTE = "ground_truth", "one_shot", "majority_online"
OF_TRUTH = ("forks_only", "non_forks_only", "positive_only", "negative_only", "weighted", "centred", "rloo")
OF_CLIP = ("upper_clip", "lower_clip", "no_clip", "old_dropped")
COMPOUND = ("truth and format", "truth without code")
FIGURES = ("variants", "variant_table", "variant_predictions")


@studies.register("variants", order=59, in_all=False, apart=True, figures=FIGURES)  # 20 minutes on two cores
def variants() -> "list[Job]":
    """One row a variant: accuracy, pass@k, calibration, entropy, as change from the base."""
    from probe.checkpoints.organism_job import OrganismJob
    from probe.experiments.variants.job import VariantJob
    from probe.studies.paths import BASES

    organisms = [OrganismJob(FAMILY, size, seed) for size, seed in BASES]
    return [VariantJob("variants", run) for place, each in enumerate(organisms) for run in runs(each, place)]


def runs(organism: "OrganismJob", place: int) -> "list[RunJob]":
    """Every row of the table on one base; `place` chooses its one example among the training problems."""
    from dataclasses import replace

    from probe.checkpoints.organism_job import train_problems
    from probe.rewards import Reward, rewards
    from probe.rewards.compose import Weighted, Without
    from probe.rl.labels import OneShot
    from probe.rl.variants import variants
    from probe.studies.why import run_of

    truth = run_of(organism, TRUTH)
    right, boxed, code = (rewards.get(name)() for name in (TRUTH, "format", "python"))
    compound: tuple[Reward, ...] = (Weighted((right, boxed), (1.0, 0.5)), Without(right, code))
    return [
        truth,
        *(replace(truth, name=name, grpo=variants.get(name)(truth.grpo)) for name in (*OF_TRUTH, *OF_CLIP)),
        replace(truth, name=ONE_SHOT, labels=OneShot(train_problems(organism.grammar)[place].id)),
        run_of(organism, VOTE),
        *(replace(truth, name=n, grpo=replace(truth.grpo, reward=r)) for n, r in zip(COMPOUND, compound, strict=True)),
    ]
