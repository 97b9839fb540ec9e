"""A process pool over jobs, one torch thread each: the executor of one machine.

Jobs start in the order they are listed as soon as what they need is there. The store does the locking, so two runs on
one store help each other. A worker that is killed, as the system does where memory is out, is replaced at once.
"""

import logging
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass

from probe.engine.job import Job
from probe.engine.listener import Listener
from probe.engine.plan import Plan
from probe.engine.with_parent import start_worker
from probe.errors import ProbeError
from probe.store import Store

log = logging.getLogger(__name__)
TRIES = 3  # of a job whose worker is killed


def pool_size(workers: int | None) -> int:
    """Processes at a time: as many as asked for, else one per core."""
    return workers or os.cpu_count() or 1


@dataclass(frozen=True)
class Pool:
    """Makes a plan in `size` worker processes. The first failure stops the rest, and what is finished is kept."""

    size: int

    def __call__(self, plan: Plan, store: Store, listener: Listener) -> None:
        """Make every job of the plan; an error names its job. One whose worker is killed is tried TRIES times."""
        waiting, killed = dict(plan.todo), Counter[str]()
        running: dict[Future[str], Job] = {}
        with _script_stays_here(), _workers() as workers:
            while waiting or running:
                for job in list(_ready(waiting, running, self.size - len(running))):
                    running[workers.submit(job, str(store.root))] = waiting.pop(job.recipe.digest)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    if workers.survived(future):
                        _check(future, job)
                        listener.on_done(job)
                    else:
                        killed[job.recipe.digest] += 1
                        _check_tries(killed[job.recipe.digest], job)
                        waiting = {job.recipe.digest: job, **waiting}


class _Workers:
    """Processes that make one job at a time, each a pool of one: in a larger one, a kill would end all the others."""

    def __init__(self) -> None:
        self._free: list[ProcessPoolExecutor] = []
        self._at: dict[Future[str], ProcessPoolExecutor] = {}

    def submit(self, job: Job, root: str) -> Future[str]:
        """Start the job, in a process that is there and free or in a new one."""
        worker = self._free.pop() if self._free else _new_worker()
        try:
            future = worker.submit(make_one, job, root)
        except BrokenProcessPool:  # killed while it was idle
            return self.submit(job, root)
        self._at[future] = worker
        return future

    def survived(self, future: "Future[str]") -> bool:
        """Whether the process of a future that is done is still there, and so free again."""
        worker = self._at.pop(future)
        if isinstance(future.exception(), BrokenProcessPool):
            worker.shutdown(wait=False)
            return False
        self._free.append(worker)
        return True

    def stop(self, *, at_once: bool) -> None:
        """Start nothing more and wait for what runs; on an interrupt end it, as jobs take minutes."""
        if at_once:
            for process in multiprocessing.active_children():
                process.terminate()
        for worker in (*self._free, *self._at.values()):
            worker.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _workers() -> Iterator[_Workers]:
    workers, at_once = _Workers(), True
    try:
        yield workers
        at_once = False
    except Exception:
        at_once = False
        raise
    finally:
        workers.stop(at_once=at_once)


def _new_worker() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), start_worker)


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


def _check_tries(tries: int, job: Job) -> None:
    """Say that a worker was killed; after the last try, as an error."""
    where = f"{job.recipe.stage} {job.recipe.digest[:12]}"
    if tries < TRIES:
        log.warning("%s: its worker was killed; trying again (%d of %d) [%s]", job.label, tries + 1, TRIES, where)
        return
    raise ProbeError(
        f"{job.label} failed: its worker was terminated abruptly {tries} times, as the system does where memory is out",
        where=where,
        do="free memory, or give fewer --workers, and run the same command again: finished work is kept",
    )


def make_one(job: Job, root: str) -> str:
    """Make one job in this process; its needs are in the store."""
    store = Store(root)
    return store.build(job.recipe, lambda work: job.make(store, work)).digest
