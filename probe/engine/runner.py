"""Make what a study needs, on every core, something to look at first; killed anywhere, it goes on from there.

A process pool over jobs, one torch thread each. Jobs start in the order they are listed as soon as what they need is
there; an artifact that exists makes everything behind it unnecessary. The store does the locking, so two runners on one
store help each other.
"""

import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass

from probe.checkpoints.jobs import Job, one_thread
from probe.errors import ProbeError
from probe.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """The jobs still to be made, by digest, in the order they should start, and how many were found made."""

    todo: dict[str, Job]
    found: int


def plan(targets: list[Job], store: Store) -> Plan:
    """What `targets` still need: depth first from each target in order, skipping what is whole in the store."""
    todo: dict[str, Job] = {}
    whole: set[str] = set()

    def visit(job: Job) -> None:
        digest = job.recipe.digest
        if digest in todo or digest in whole:
            return
        if is_made(store, job):
            whole.add(digest)
            return
        for need in job.needs:
            visit(need)
        todo[digest] = job

    for target in targets:
        visit(target)
    return Plan(todo, len(whole))


def is_made(store: Store, job: Job) -> bool:
    """Whether the artifact is there and undamaged."""
    return store.holds(job.recipe)


def run_jobs(
    jobs: Plan,
    store: Store,
    *,
    workers: int | None = None,
    on_done: Callable[[Job], None] = lambda job: None,
) -> None:
    """Make every job of the plan. The first failure stops the rest, keeps what is finished, and names the job."""
    waiting = dict(jobs.todo)
    if not waiting:
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(pool_size(workers), mp_context=context, initializer=start_worker) as pool:
        running: dict[Future[str], Job] = {}
        try:
            while waiting or running:
                for job in list(_ready(waiting, running, pool_size(workers) - len(running))):
                    running[pool.submit(make, job, str(store.root))] = waiting.pop(job.recipe.digest)
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    job = running.pop(future)
                    _check(future, job)
                    on_done(job)
        except BaseException as err:
            pool.shutdown(wait=False, cancel_futures=True)
            if not isinstance(err, Exception):  # interrupted: leaving the pool would wait for jobs that take minutes
                for worker in multiprocessing.active_children():
                    worker.terminate()
            raise


def pool_size(workers: int | None) -> int:
    return workers or os.cpu_count() or 1


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
    """In a new worker process: one torch thread, and an end when the runner ends, be it by a kill."""
    one_thread()
    threading.Thread(target=_end_with_runner, daemon=True).start()


def _end_with_runner() -> None:
    runner = multiprocessing.parent_process()
    if runner is not None:  # a killed runner closes nothing: its workers would wait for work for ever
        runner.join()
        os._exit(1)


def make(job: Job, root: str) -> str:
    """Make one job in this process; its needs are in the store."""
    store = Store(root)
    return store.build(job.recipe, lambda work: job.make(store, work)).digest
