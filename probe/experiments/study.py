"""Run studies and draw their figures: first the organisms alone, so that something can be looked at early, then all."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from probe.checkpoints.jobs import Job
from probe.engine.runner import Plan, plan, run_jobs
from probe.experiments.rl_runs.job import MeasureBaseJob
from probe.plots import Drawing, figures
from probe.plots.save import save
from probe.store import Store

Announce = Callable[[Path], None]


def run_studies(
    studies: Sequence[Sequence[Job]],
    store: Store,
    folder: Path,
    *,
    workers: int | None = None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_done: Callable[[Job], None] = lambda job: None,
    on_figure: Announce = lambda path: None,
) -> list[Path]:
    """Make the measurements that each study wants, study by study, and draw every figure they allow after each stage.

    The stages of a study are its organisms before RL, and then all of it. Returns the files of the last drawing.
    """
    everything = [job for targets in studies for job in targets]
    on_plan(plan(everything, store))
    drawn: list[Path] = []
    for done in _stages(studies):
        todo = plan(done, store)
        run_jobs(todo, store, workers=workers, on_done=on_done)
        if todo.todo or len(done) == len(everything):
            drawn = draw(measured(done, store), [job.recipe.digest for job in done], folder, on_figure)
    return drawn


def _stages(studies: Sequence[Sequence[Job]]) -> Iterator[list[Job]]:
    """The measurements that should be there after each stage: those before it, the study's bases, the whole study."""
    before: list[Job] = []
    for targets in studies:
        bases = [job for job in targets if isinstance(job, MeasureBaseJob)]
        if bases:
            yield [*before, *bases]
        before = [*before, *targets]
        yield before


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
