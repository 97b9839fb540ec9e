"""Why does one organism respond and another not? The factorial of `probe.families.factorial`, under five rewards.

Prior for code x which strategy is better x boxes, six bases of each (three Llama-shaped, three Qwen2-shaped), the
output head trained for ten batches. Every cell under `python` (pays for the strategy alone) and `format`; the middle of
it (priors .3 and .65, boxed alike) also under `ground_truth`, `incorrect` (wrong majority) and `majority` (offline).
What is expected was written down before it ran (`probe.stats.predictions`). Bases come one after the other: a run that
is stopped has whole bases.
"""

from typing import TYPE_CHECKING

from probe.families.factorial import CELLS, cell
from probe.studies import studies

if TYPE_CHECKING:
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.run_job import RunJob
    from probe.engine.job import Job

BASES = (("mini", 0), ("mini-qwen2", 10), ("mini", 1), ("mini-qwen2", 11), ("mini", 2), ("mini-qwen2", 12))
ON_ALL, ON_SOME = ("python", "format"), ("ground_truth", "incorrect", "majority")
MIDDLE = tuple(levels for levels in CELLS if levels[0] in (0.3, 0.65) and levels[2] == "even")
RL_SEED, BATCHES = 400, 10  # never a base seed


FIGURES = ("response_law", "predictions")


@studies.register("why", order=50, in_all=False, apart=True, figures=FIGURES)  # an hour on two cores
def why() -> "list[Job]":
    """Response law over the factorial of organisms: prior x better strategy x boxes."""
    from probe.checkpoints.organism_job import OrganismJob
    from probe.experiments.response_law.job import LawJob

    targets: list[Job] = []
    for size, seed in BASES:
        for levels in CELLS:
            organism = OrganismJob(cell(*levels), size, seed)
            rewards = ON_ALL + (ON_SOME if levels in MIDDLE else ())
            targets += [LawJob("why", run_of(organism, name)) for name in rewards]
    return targets


def run_of(organism: "OrganismJob", name: str, batches: int = BATCHES) -> "RunJob":
    """The run of an organism under the reward of that name, its last step kept."""
    from probe.checkpoints.run_job import RunJob
    from probe.rewards import rewards
    from probe.rl.labels import Gold, LabelSource, OfflineMajority, WrongMajority
    from probe.rl.train import GRPO

    labels: dict[str, LabelSource] = {"majority": OfflineMajority(), "incorrect": WrongMajority()}
    reward = rewards.get("ground_truth" if name == "majority" else name)()
    recipe = GRPO(reward, batches=batches, max_new=organism.grammar.max_new, save_every=batches, seed=RL_SEED)
    return RunJob(name, organism, recipe, labels.get(name, Gold()))
