"""The body that every experiment's command shares: --dry, or run behind a progress bar, then --json or tables, figures.

A command parses its options into a job and says how its rows are shown; nothing else. An experiment on a pair that has
no command of its own gets one here: `probe NAME BEFORE [AFTER]`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from probe.cli.changes import changes, show_changes
from probe.cli.dry_run import announce
from probe.cli.settings import Before, MaybeAfter, Settings
from probe.cli.show import emit, messages, say

if TYPE_CHECKING:
    from probe.experiments.experiment import Experiment
    from probe.experiments.result import Result

Summary = Callable[["Result"], dict[str, Any]]  # what JSON says besides the measurements


def present(
    job: "Experiment",
    settings: Settings,
    show: Callable[["Result"], None],
    *,
    title: str = "",
    summary: Summary = lambda result: {},
) -> None:
    """Announce the job, or run it and show, emit and draw what it left."""
    from probe.engine.pool import pool_size
    from probe.engine.progress import Progress
    from probe.experiments.result import run

    store, workers = settings.held, settings.workers
    if settings.dry:
        return announce([job], store, workers, title or job.label, settings.as_json)
    with Progress(messages(), store, pool_size(workers)) as progress:
        result = run(job, store, workers=workers, listener=progress)
    if settings.as_json:
        emit({"digest": result.digest, **summary(result), "measurements": result.rows})
    else:
        show(result)
        say(f"kept as measurements {result.digest[:16]}")
    if job.FIGURES:
        draw_figures(result, settings.figures)


def draw_figures(result: "Result", folder: Path) -> None:
    """The experiment's own figures, saved; each is named on stderr."""
    from probe.experiments.result import draw

    for path in draw(result.rows, [result.digest], folder, result.job.FIGURES):
        if path.suffix == ".png":
            say(f"drew {path}")


def registered(name: str) -> Any:
    """The command of a registered experiment on a pair; None where there is no such experiment."""
    from probe.cli.groups import unfolded
    from probe.experiments import experiments
    from probe.experiments.experiment import PairExperiment

    kind = experiments.get(name) if name in experiments.names() else None
    if kind is None or not issubclass(kind, PairExperiment):
        return None

    def command(before: Before, run: Settings, after: MaybeAfter = None) -> None:
        job = kind(run.pair(before, after))  # type: ignore[call-arg]
        present(job, run, lambda result: show_changes(changes(result.rows), job.label))

    command.__doc__ = kind.__doc__
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name)(unfolded(command))
    return typer.main.get_command(alone)
