"""A process pool over jobs, one torch thread each: the executor of one machine.

Jobs start in the order they are listed as soon as what they need is there. The store does the locking, so two runs on
one store help each other. A worker that is killed, as the system does where memory is out, is replaced at once.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass

from probe.engine.job import Job
from probe.engine.listener import Listener
from probe.engine.plan import Plan
from probe.engine.submit import Outcome, make_all, outcome_of
from probe.engine.with_parent import start_worker
from probe.store import Store


def pool_size(workers: int | None) -> int:
    """Processes at a time: as many as asked for, else one per core."""
    return workers or os.cpu_count() or 1


@dataclass(frozen=True)
class Pool:
    """Makes a plan in `size` worker processes. The first failure stops the rest, and what is finished is kept."""

    size: int

    def __call__(self, plan: Plan, store: Store, listener: Listener) -> None:
        """Make every job of the plan; an error names its job. One whose worker is killed is tried TRIES times."""
        make_all(self, plan, store, listener)

    @contextmanager
    def workers(self, store: Store) -> "Iterator[_Workers]":
        """Its processes; each is started when it is first needed."""
        with _script_stays_here(), _stopped(_Workers(self.size, store.address)) as workers:
            yield workers


class _Workers:
    """Processes that make one job at a time, each a pool of one: in a larger one, a kill would end all the others."""

    def __init__(self, size: int, address: str) -> None:
        self.size, self.address = size, address
        self._free: list[ProcessPoolExecutor] = []
        self._at: dict[Future[str], tuple[ProcessPoolExecutor, str]] = {}

    def start(self, job: Job) -> None:
        """Start the job, in a process that is there and free or in a new one."""
        worker = self._free.pop() if self._free else _new_worker()
        try:
            future = worker.submit(make_one, job, self.address)
        except BrokenProcessPool:  # killed while it was idle
            return self.start(job)
        self._at[future] = worker, job.recipe.digest

    def ended(self) -> list[tuple[str, Outcome]]:
        """Those that are done; their processes are free again, if they are still there."""
        return [self._outcome(future) for future in wait(self._at, return_when=FIRST_COMPLETED).done]

    def _outcome(self, future: "Future[str]") -> tuple[str, Outcome]:
        worker, digest = self._at.pop(future)
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            worker.shutdown(wait=False)
            return digest, outcome_of(error, died=True)
        self._free.append(worker)
        return digest, outcome_of(error)

    def stop(self, *, at_once: bool) -> None:
        """Start nothing more and wait for what runs; on an interrupt end it, as jobs take minutes."""
        if at_once:
            for process in multiprocessing.active_children():
                process.terminate()
        for worker in (*self._free, *(worker for worker, _ in self._at.values())):
            worker.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _stopped(workers: _Workers) -> Iterator[_Workers]:
    at_once = True
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


def make_one(job: Job, address: str) -> str:
    """Make one job in this process; its needs are in the store."""
    store = Store(address)
    return store.build(job.recipe, lambda work: job.make(store, work)).digest
