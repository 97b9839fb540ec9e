"""Make artifacts: plan what is missing, then hand the plan to whoever makes it.

make(targets, store)                    here where it takes seconds, or fills the memory; else on every core
make(targets, store, executor=other)    any callable (plan, store, listener) -> None: a cluster's, for example
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from probe.engine.durations import recorded, seconds
from probe.engine.job import Job, one_thread
from probe.engine.listener import SILENT, Listener, heard_by
from probe.engine.plan import Plan, all_behind, plan
from probe.engine.pool import Pool, make_one, pool_size
from probe.store import Store

Executor = Callable[[Plan, Store, Listener], None]
START = 12.0  # seconds of work below which processes, each with its own torch, are not worth their start


def make(
    targets: Sequence[Job],
    store: Store,
    *,
    workers: int | None = None,
    listener: Listener = SILENT,
    executor: Executor | None = None,
) -> Plan:
    """Make the targets and all they need, unless the store holds them; what was missing is returned.

    `workers` processes at most [one per core], of which each uses one torch thread.
    """
    store.lease(job.recipe.digest for job in all_behind(targets))  # before the plan: what it finds stays
    missing = plan(targets, store)
    listener.on_plan(missing)
    if missing.todo:
        store.prepare()
        (executor or chosen(missing, store, workers))(missing, store, listener)
    return missing


def chosen(missing: Plan, store: Store, workers: int | None) -> Executor:
    """This process where one job must be in it, where `workers` is 1 or the plan takes seconds; else a pool."""
    here = missing.in_process or workers == 1 or is_quick(missing, store)
    return in_this_process if here else Pool(pool_size(workers))


def is_quick(missing: Plan, store: Store) -> bool:
    """Whether the plan is expected to take only seconds."""
    return seconds(missing.todo.values(), recorded(store)) < START


def in_this_process(missing: Plan, store: Store, listener: Listener) -> None:
    """One job after another; `listener` also hears how far each is."""
    with _as_in_workers(), heard_by(listener.on_part):
        for job in missing.todo.values():  # what a job needs stands before it
            make_one(job, store.address)
            listener.on_done(job)


@contextmanager
def _as_in_workers() -> Iterator[None]:
    """One torch thread, so that bits are the same."""
    import torch

    threads = torch.get_num_threads()
    one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
