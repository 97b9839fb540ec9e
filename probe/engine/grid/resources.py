"""What does a job take of a machine? Cores, GPUs and bytes that a cluster sets apart for it."""

from collections.abc import Callable
from dataclasses import dataclass

from probe.engine.job import Job


@dataclass(frozen=True)
class Resources:
    """Of one job; 0 bytes of memory: what a core comes with there."""

    cpus: int = 1
    gpus: int = 0
    memory: float = 0.0  # bytes, of the machine


def one_core(job: Job) -> Resources:
    """What every job on organisms takes."""
    return Resources()


Needs = Callable[[Job], Resources]
