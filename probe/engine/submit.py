"""One verb for every place where jobs are made: submit(jobs) -> (digest, outcome), each as it ends.

A job says "make this artifact in the store". Made twice, the artifact is there once, and that it is there is the only
mark that a job is done. So a place needs no memory of its own: a job whose worker died is started again, and a command
that was killed is run again. A place (`Pool`, `Ray`, `Slurm`) opens workers on a store; they start a job and say which
have ended.
"""

import logging
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from probe.engine.job import Job
from probe.engine.listener import Listener
from probe.engine.plan import Plan
from probe.errors import ProbeError
from probe.store import Store, Unreachable

log = logging.getLogger(__name__)
TRIES = 3  # of a job whose worker is killed


@dataclass(frozen=True)
class Outcome:
    """How a job ended: made, where there is no error.

    died     it ended with its worker
    again    another try, which the place does not make itself, may end otherwise
    """

    error: BaseException | None = None
    died: bool = False
    again: bool = False


def outcome_of(error: BaseException | None, *, died: bool = False) -> Outcome:
    """At a place that tries nothing again itself: what died is worth it, and what could not reach the store."""
    return Outcome(error, died, again=died or isinstance(error, Unreachable))


class Workers(Protocol):
    """Workers that are there, on one store."""

    @property
    def size(self) -> int:
        """Jobs at a time."""

    def start(self, job: Job) -> None:
        """Let a worker make the job; what it needs is in the store."""

    def ended(self) -> list[tuple[str, Outcome]]:
        """Wait until a job ends; the digests of those that have, and how."""


class Place(Protocol):
    """Where jobs are made."""

    def workers(self, store: Store) -> AbstractContextManager[Workers]:
        """Its workers on a store. After an error they end what they have begun; after an interrupt they are stopped."""


def submit(jobs: Iterable[Job], store: Store, place: Place) -> Generator[tuple[str, Outcome], None, None]:
    """Make the jobs, each when what it needs of the others is made; a job whose worker dies is tried TRIES times."""
    waiting, tries = {job.recipe.digest: job for job in jobs}, Counter[str]()
    running: dict[str, Job] = {}
    with place.workers(store) as workers:
        while waiting or running:
            for job in list(ready(waiting, running.values(), workers.size - len(running))):
                running[job.recipe.digest] = waiting.pop(job.recipe.digest)
                workers.start(job)
            for digest, outcome in workers.ended():
                job = running.pop(digest)
                tries[digest] += 1
                if outcome.again and tries[digest] < TRIES:
                    why = "its worker was killed" if outcome.died else str(outcome.error)
                    where = f"{job.recipe.stage} {digest[:12]}"
                    log.warning("%s: %s; trying again (%d of %d) [%s]", job.label, why, tries[digest] + 1, TRIES, where)
                    waiting = {digest: job, **waiting}
                else:
                    yield digest, outcome


def make_all(place: Place, plan: Plan, store: Store, listener: Listener) -> None:
    """Make every job of the plan; the first error stops the rest, names its job, and what is finished is kept."""
    outcomes = submit(plan.todo.values(), store, place)
    try:
        for digest, outcome in outcomes:
            check(outcome, plan.todo[digest])
            listener.on_done(plan.todo[digest])
    except BaseException as err:
        outcomes.throw(err)  # the workers are told what stopped them
        raise


def ready(waiting: dict[str, Job], running: Collection[Job], slots: int) -> Iterator[Job]:
    """The first jobs in line whose needs are neither waiting nor running."""
    pending = set(waiting) | {job.recipe.digest for job in running}
    free = (job for job in waiting.values() if not pending & {need.recipe.digest for need in job.needs})
    for _, job in zip(range(slots), free, strict=False):
        yield job


def check(outcome: Outcome, job: Job) -> None:
    """An error with the name of its job, where there was one."""
    error, where = outcome.error, f"{job.recipe.stage} {job.recipe.digest[:12]}"
    if outcome.died:
        raise ProbeError(
            f"{job.label} failed: its worker was terminated abruptly {TRIES} times, as the system does where memory is"
            " out",
            where=where,
            do="free memory, or give fewer --workers, and run the same command again: finished work is kept",
        ) from error
    if isinstance(error, ProbeError):
        raise type(error)(f"{job.label}: {error.what}", where=error.where, do=error.do) from error
    if error is not None:
        raise ProbeError(
            f"{job.label} failed: {type(error).__name__}: {error}",
            where=where,
            do="mend the cause and run the same command again: finished work is kept",
        ) from error
