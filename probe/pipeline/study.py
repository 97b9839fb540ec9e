"""Run a study and draw its figures: first the organisms alone, so that something can be looked at early, then all of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from probe.pipeline.jobs import Job
from probe.pipeline.measure_jobs import MeasureBaseJob
from probe.pipeline.runner import Plan, plan, run_jobs
from probe.plots import Drawing, figures
from probe.plots.save import save
from probe.store import Store
from probe.studies import studies

Announce = Callable[[Path], None]


def targets_of(names: Sequence[str]) -> list[Job]:
    """The measurements the studies want, in the order in which they should start."""
    return [job for name in names for job in studies.get(name)()]


def run_studies(
    names: Sequence[str],
    store: Store,
    folder: Path,
    *,
    workers: int | None = None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_done: Callable[[Job], None] = lambda job: None,
    on_figure: Announce = lambda path: None,
) -> list[Path]:
    """Make everything the studies need and draw every figure their measurements allow; returns the figures' files."""
    targets = targets_of(names)
    on_plan(plan(targets, store))
    bases = [job for job in targets if isinstance(job, MeasureBaseJob)]
    drawn: list[Path] = []
    for wanted in (bases, targets):
        todo = plan(wanted, store)
        run_jobs(todo, store, workers=workers, on_done=on_done)
        if todo.todo or wanted is targets:
            drawn = draw(measured(wanted, store), [job.recipe.digest for job in wanted], folder, on_figure)
    return drawn


def measured(targets: Sequence[Job], store: Store) -> list[dict[str, Any]]:
    """The long measurement table of finished targets, as the rows figures read."""
    return pa.concat_tables([store.get(job.recipe).read_table() for job in targets]).to_pylist()


def draw(
    rows: list[dict[str, Any]],
    inputs: Sequence[str],
    folder: Path,
    on_figure: Announce = lambda path: None,
    names: Sequence[str] | None = None,
) -> list[Path]:
    """Every figure (or the named ones) that the rows allow, with the digests of what it was drawn from."""
    paths = []
    for name in names or figures.names():
        drawing: Drawing | None = figures.get(name)(rows)
        if drawing is not None:
            files = save(name, drawing, folder, {"inputs": list(inputs)})
            paths += files
            on_figure(files[0])
    return paths
