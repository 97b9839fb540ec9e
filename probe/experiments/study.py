"""Run studies and draw their figures: first the organisms alone, so that something can be looked at early, then all."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from probe.engine.executor import Executor, make
from probe.engine.job import Job
from probe.engine.listener import SILENT, Listener
from probe.engine.plan import Plan, plan
from probe.experiments.result import draw
from probe.experiments.rl_runs.job import MeasureBaseJob
from probe.measurements import Rows
from probe.store import Store


class _Stage(Listener):
    """Hears what is done in one stage; the plan of everything was told before."""

    def __init__(self, listener: Listener) -> None:
        self.on_done = listener.on_done  # type: ignore[method-assign]
        self.on_part = listener.on_part  # type: ignore[method-assign]


def run_studies(
    studies: Sequence[Sequence[Job]],
    store: Store,
    folder: Path,
    *,
    names: Sequence[str] | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    listener: Listener = SILENT,
    on_figure: Callable[[Path], None] = lambda path: None,
) -> list[Path]:
    """Make the measurements that each study wants, study by study, and draw every figure (or `names`) after each stage.

    The stages of a study are its organisms before RL, and then all of it. Returns the files of the last drawing.
    """
    everything = [job for targets in studies for job in targets]
    listener.on_plan(plan(everything, store))
    drawn: list[Path] = []
    for done in _stages(studies):
        made: Plan = make(done, store, workers=workers, executor=executor, listener=_Stage(listener))
        if made.todo or len(done) == len(everything):
            drawn = draw(measured(done, store), [job.recipe.digest for job in done], folder, names)
            for path in drawn:
                on_figure(path)
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


def measured(targets: Sequence[Job], store: Store) -> Rows:
    """The long measurement table of finished targets, as the rows figures read."""
    rows: Rows = pa.concat_tables([store.get(job.recipe).read_table() for job in targets]).to_pylist()
    return rows
