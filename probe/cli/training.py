"""Making things at the command line: jobs behind a progress bar, and one run in this process, batch by batch."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from probe.cli.loggers import extra_logger
from probe.cli.show import messages, say
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.checkpoints.checkpoint import Checkpoint
    from probe.checkpoints.run_job import RunJob
    from probe.engine.job import Job
    from probe.experiments.outside_runs.job import OutsideRunJob
    from probe.store import Artifact, Store

SAID_EVERY = 10  # batches, where there is no terminal


def make(job: "Job", store: "Store", workers: int | None) -> "Artifact":
    """The job's artifact, made now with all it needs unless the store holds it."""
    make_needs((job,), store, workers)
    return store.get(job.recipe)


def make_needs(jobs: "Sequence[Job]", store: "Store", workers: int | None) -> None:
    """Make these jobs and what they need, behind a progress bar; nothing is said where all is there."""
    from probe.engine import executor, progress
    from probe.engine.plan import plan
    from probe.engine.pool import pool_size

    missing = len(plan(jobs, store).todo)
    if missing:
        with progress.Progress(messages(), store, min(pool_size(workers), missing)) as display:
            executor.make(jobs, store, workers=1 if missing == 1 else workers, listener=display)


def meant(
    base: "Checkpoint",
    reward: str | None,
    variant: str | None,
    labels: str | None,
    seed: int,
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> "Checkpoint":
    """That checkpoint, or with `reward` what a run under it makes of an organism; one that draws has the run's seed.

    `labels` is None for the gold ones, `changes` are numbers of the recipe. BadInput for weights from outside, and
    where a run is described but no reward is named.
    """
    from dataclasses import replace

    from probe.api import run_of
    from probe.checkpoints.checkpoint import of_run
    from probe.rewards import rewards
    from probe.rl.labels import from_spec

    if base.is_outside:
        do = "name an organism or a run: probe ls checkpoints"
        raise BadInput(f"{base.name} was made elsewhere, nothing to train", do=do)
    if reward is None:
        if variant is not None or seed or labels is not None or changes:
            do = "give REWARD behind the organism"
            raise BadInput(
                "--variant, --labels, --seed and numbers are of a run under a reward", where=base.name, do=do
            )
        return base
    chosen = rewards.get("random")(seed=seed) if reward == "random" else reward
    made = run_of(base, chosen, from_spec({"labels": labels or "gold"}), variant=variant, seed=seed, **changes)
    return of_run(replace(made, name=f"{reward} {variant}" if variant else reward))


def make_run(run: "RunJob | OutsideRunJob", store: "Store", workers: int | None, log: str | None) -> None:
    """Train one run in this process; its metrics also go to `log`, those of batches that were there already first."""
    from probe.engine.job import one_thread
    from probe.rl.train import METRICS, read_metrics

    extra = extra_logger(log, run.label, run.grpo.updates, run.grpo.lr)
    if store.holds(run.recipe):
        extra.replay(read_metrics(store.get(run.recipe).file(METRICS)))
        return extra.close()
    make_needs(run.needs, store, workers)
    one_thread()  # as in the workers of a study: the same bits

    def work_in(work: Path) -> None:
        done = read_metrics(work / METRICS) if (work / METRICS).exists() else []
        extra.replay(done)
        with batches(run.grpo.batches) as tick:

            def heard(batch: int, metrics: dict[str, float]) -> None:
                tick(batch + 1, metrics)
                if batch >= len(done):  # what was saved last may be made again
                    extra(batch, metrics)

            run.make(store, work, log=heard)

    store.build(run.recipe, work_in)
    extra.close()


class Tick(Protocol):
    """Called after each batch with its number, from 1, and its metrics."""

    def __call__(self, batch: int, metrics: dict[str, float]) -> None: ...


@contextmanager
def batches(total: int) -> Iterator[Tick]:
    """A bar over batches with accuracy and time left; a line now and then where there is no terminal."""
    console = messages()
    columns = (TextColumn("batch"), MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}"))
    if not console.is_terminal:
        yield lambda batch, metrics: _line(batch, total, metrics)
        return
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda batch, metrics: bar.update(task, completed=batch, description=_state(metrics))


def _line(batch: int, total: int, metrics: dict[str, float]) -> None:
    if batch % SAID_EVERY == 0 or batch == total:
        say(f"batch {batch} of {total}: {_state(metrics)}")


def _state(metrics: dict[str, float]) -> str:
    shown_metrics = ("reward", "accuracy", "strategy/python", "entropy")
    return ", ".join(f"{name} {metrics[name]:.3f}" for name in shown_metrics if name in metrics)
