"""Whose rows are these? What every measurement of the study "inside" says of the pair it was made on."""

from probe.checkpoints.jobs import RunJob
from probe.checkpoints.resolve import Subject
from probe.measurements import RowKey


def same_weights(before: Subject, after: Subject) -> bool:
    """Whether the pair is a null pair."""
    return (before.inputs, before.step, before.dtype) == (after.inputs, after.step, after.dtype)


def context_of(before: Subject, after: Subject | None, temperature: float) -> RowKey:
    """`reward` is the name of the run, or of a checkpoint from outside; empty for a base alone."""
    run = after.source if after and isinstance(after.source, RunJob) else None
    kind = "base" if after is None else "null" if same_weights(before, after) else "rl"
    reward = run.name if run else after.name if after else ""
    origin = (before.family, before.size, before.base_seed)
    step = (after or before).step
    return RowKey("inside", kind, *origin, reward, "", run.grpo.seed if run else 0, step, temperature)
