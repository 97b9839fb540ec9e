"""What is still to be made, and in which order? What is whole in the store makes everything behind it unnecessary."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from probe.engine.job import Job
from probe.errors import BadInput
from probe.store import Store

MAX_TOKENS = 10**10  # of one job: weeks on a fast GPU
BYTES = 20  # of a sampled token: id, uniform, log-prob, entropy


@dataclass(frozen=True)
class Plan:
    """The jobs still to be made, by digest, in the order they should start, and how many were made before."""

    todo: dict[str, Job]
    found: int

    @property
    def in_process(self) -> bool:
        """Whether any of them must be made in the calling process: it says so, or only this process knows its class."""
        return any(job.in_process or type(job).__module__ == "__main__" for job in self.todo.values())


def plan(targets: Iterable[Job], store: Store) -> Plan:
    """What `targets` still need: depth first from each target in order, skipping what is whole in the store.

    BadInput, with its cost, for a job that no machine could finish.
    """
    todo: dict[str, Job] = {}
    whole: set[str] = set()

    def visit(job: Job) -> None:
        digest = job.recipe.digest
        if digest in todo or digest in whole:
            return
        if store.holds(job.recipe):
            whole.add(digest)
            return
        for need in job.needs:
            visit(need)
        check_cost(job)
        todo[digest] = job

    for target in targets:
        visit(target)
    return Plan(todo, len(whole))


def check_cost(job: Job) -> None:
    """BadInput for what is too much; jobs that sample say how much (`work`, see `probe.experiments.budget`)."""
    for work in getattr(job, "work", ()):
        tokens = work.rows * work.new
        if tokens > MAX_TOKENS:
            cost = f"{work.rows:,} responses of up to {work.new:,} tokens, {tokens * BYTES / 1e9:,.0f} GB of tables"
            raise BadInput(f"{job.label}: this is too much: {cost}", do="ask for fewer samples, problems or tokens")


def all_behind(targets: Iterable[Job]) -> Iterator[Job]:
    """The targets and everything they need, made or not, each once."""
    seen: set[str] = set()
    waiting = list(targets)
    while waiting:
        job = waiting.pop()
        if job.recipe.digest not in seen:
            seen.add(job.recipe.digest)
            yield job
            waiting.extend(job.needs)
