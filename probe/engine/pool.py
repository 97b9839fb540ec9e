"""A process pool over jobs, one torch thread each: the executor of one machine.

Jobs start in the order they are listed as soon as what they need is there. The store does the locking, so two runs on
one store help each other.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

from probe.engine.job import Job, one_thread
from probe.engine.listener import Listener
from probe.engine.plan import Plan
from probe.errors import ProbeError
from probe.store import Store
from probe.terminal import guard


def pool_size(workers: int | None) -> int:
    """Processes at a time: as many as asked for, else one per core."""
    return workers or os.cpu_count() or 1


@dataclass(frozen=True)
class Pool:
    """Makes a plan in `size` worker processes. The first failure stops the rest, and what is finished is kept."""

    size: int

    def __call__(self, plan: Plan, store: Store, listener: Listener) -> None:
        """Make every job of the plan; an error names its job."""
        waiting = dict(plan.todo)
        context = multiprocessing.get_context("spawn")
        with _script_stays_here(), ProcessPoolExecutor(self.size, context, start_worker) as pool:
            running: dict[Future[str], Job] = {}
            try:
                while waiting or running:
                    for job in list(_ready(waiting, running, self.size - len(running))):
                        running[pool.submit(make_one, job, str(store.root))] = waiting.pop(job.recipe.digest)
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        job = running.pop(future)
                        _check(future, job)
                        listener.on_done(job)
            except BaseException as err:
                _stop(pool, at_once=not isinstance(err, Exception))
                raise


@contextmanager
def _script_stays_here() -> Iterator[None]:
    """Workers import what jobs are made of, never the script that asks: it would run once more in each of them."""
    main = sys.modules["__main__"]
    known: dict[str, object] = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
    main.__spec__ = None
    vars(main).pop("__file__", None)
    try:
        yield
    finally:
        vars(main).update(known)


def _stop(pool: ProcessPoolExecutor, *, at_once: bool) -> None:
    """Start nothing more; on an interrupt do not wait for jobs that take minutes, as leaving the pool would."""
    pool.shutdown(wait=False, cancel_futures=True)
    if at_once:
        for worker in multiprocessing.active_children():
            worker.terminate()


def _ready(waiting: dict[str, Job], running: dict[Future[str], Job], slots: int) -> Iterator[Job]:
    """The first jobs in line whose needs are neither waiting nor running."""
    pending = set(waiting) | {job.recipe.digest for job in running.values()}
    ready = (job for job in waiting.values() if not pending & {need.recipe.digest for need in job.needs})
    for _, job in zip(range(slots), ready, strict=False):
        yield job


def _check(future: Future[str], job: Job) -> None:
    error = future.exception()
    if isinstance(error, ProbeError):
        raise type(error)(f"{job.label}: {error.what}", where=error.where, do=error.do) from error
    if error is not None:
        raise ProbeError(
            f"{job.label} failed: {type(error).__name__}: {error}",
            where=f"{job.recipe.stage} {job.recipe.digest[:12]}",
            do="mend the cause and run the same command again: finished work is kept",
        ) from error


def start_worker() -> None:
    """In a new worker process: one torch thread, clean output, and an end when the parent ends, be it by a kill."""
    one_thread()
    guard()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:  # a killed parent closes nothing: its workers would wait for work for ever
        parent.join()
        os._exit(1)


def make_one(job: Job, root: str) -> str:
    """Make one job in this process; its needs are in the store."""
    store = Store(root)
    return store.build(job.recipe, lambda work: job.make(store, work)).digest
