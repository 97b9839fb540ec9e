"""What does a job take of a cluster's node? From its budget: memory and, where its weights go there, GPUs.

On organisms a job takes one core. On weights from outside it takes as many GPUs as its peak fills (`GPU` bytes each),
where `device_map` sends them there, and the machine's memory for what is loaded; else the machine's memory for all.
"""

import math

from probe.engine.grid.resources import Resources
from probe.engine.job import Job
from probe.experiments.budget import SLACK, Fitting, Work, peak, size_of, work_of

GPU = 80e9  # bytes of one
LOADED = 4  # bytes a weight, at most, while a checkpoint is read


def resources(job: Job) -> Resources:
    """Cores, GPUs and bytes of one job."""
    works = tuple(work for work in work_of(job) if work.checkpoint.is_outside)
    fitting: Fitting | None = getattr(job, "fitting", None)
    needed = peak(works) if works else 0.0
    needed = max(needed, fitting.weights + fitting.batch + SLACK) if fitting and works else needed
    if not needed:
        return Resources()
    on_gpu = any(work.checkpoint.device_map not in (None, "cpu") for work in works)
    return Resources(1, math.ceil(needed / GPU), _loaded(works)) if on_gpu else Resources(1, 0, needed)


def _loaded(works: tuple[Work, ...]) -> float:
    checkpoints = {work.checkpoint for work in works}
    return SLACK + LOADED * max(size_of(each).parameters for each in checkpoints)
