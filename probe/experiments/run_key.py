"""What are the rows of an RL run about? Its organism, reward, clip and seed, at its last step or one before."""

from dataclasses import replace

from probe.checkpoints.checkpoint import of_organism
from probe.checkpoints.run_job import RunJob
from probe.measurements import RowKey
from probe.rewards import declared

OF_THE_RUN = ("after", "change")  # sides of a row that speak of the trained model, which may have been destroyed


def run_key(study: str, run: RunJob, temperature: float, *, step: int | None = None, kind: str = "rl") -> RowKey:
    """The key of what was measured of `run` after `step` batches (all of them, where none is named)."""
    about = of_organism(run.organism).key(study, kind, reward=run.name, clip=run.clip, rl_seed=run.grpo.seed)
    last = run.grpo.batches if step is None else step
    return replace(about, step=last, temperature=temperature, informative=declared(run.grpo.reward).informative)
