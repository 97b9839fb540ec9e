"""A few seconds of work are done in this process: starting others, each with its own torch, would take longer."""

from collections.abc import Callable

import torch

from probe.checkpoints.jobs import Job
from probe.engine.durations import recorded, seconds
from probe.engine.runner import Plan, make, run_jobs
from probe.store import Store

START = 12.0  # seconds of work below which processes are not worth their start


def make_all(
    todo: Plan, store: Store, *, workers: int | None = None, on_done: Callable[[Job], None] = lambda job: None
) -> None:
    """Make every job of the plan, here where it is quick or `workers` is 1, else on every core."""
    if workers != 1 and not is_quick(todo, store):
        return run_jobs(todo, store, workers=workers, on_done=on_done)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the workers: the same bits
    try:
        for job in todo.todo.values():  # what it needs stands before each job
            make(job, str(store.root))
            on_done(job)
    finally:
        torch.set_num_threads(threads)


def is_quick(todo: Plan, store: Store) -> bool:
    """Whether the plan is expected to take only seconds."""
    return seconds(todo.todo.values(), recorded(store)) < START
