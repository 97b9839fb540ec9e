"""probe run: make what a study needs, measure and draw."""

from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli import settings
from probe.cli.dry_run import announce
from probe.cli.groups import command
from probe.cli.show import messages, say
from probe.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path


@command("run", place=160)
def run(
    study: Annotated[str, typer.Argument(help="A study (`probe ls studies`), or all.")],
    dry: settings.Dry = False,
    workers: settings.Workers = None,
    on: settings.On = None,
    store: settings.Root = None,
    figures: settings.Figures = settings.FIGURES,
    as_json: settings.AsJson = False,
) -> None:
    """Make, measure and draw a study.

    Only what is not there yet is made. Killed at any moment, the same command goes on from what is finished.
    """
    from probe.engine.grid.choose import POOL, place_named
    from probe.engine.grid.source import Source
    from probe.engine.pool import pool_size
    from probe.engine.progress import Progress
    from probe.experiments.resources import resources
    from probe.experiments.study import run_studies
    from probe.studies import study as study_of
    from probe.studies import targets_of

    held, names = settings.open_store(store), named(study, store)
    if as_json and not dry:
        what = "--json goes with --dry: what a run leaves is its figures"
        raise BadInput(what, do="probe run STUDY --dry --json")
    groups = [group for group in grouped(names) if group]
    sources = [Source("probe.studies:jobs_named", tuple(group)) for group in groups]
    places = [place_named(POOL if on is None else on, source, workers=workers, needs=resources) for source in sources]
    if dry:
        flat = [job for targets in targets_of(names, store) for job in targets]
        return announce(flat, held, workers, ", ".join(names), as_json)
    for group, place in zip(groups, places, strict=True):
        with Progress(messages(), held, pool_size(workers)) as progress:
            hear = {"listener": progress, "on_figure": lambda path, said=progress.say: drew(path, said)}
            own = study_of(group[0]).figures or None  # of a study that is apart
            run_studies(targets_of(group, store), held, figures, names=own, workers=workers, executor=place, **hear)  # type: ignore[arg-type]


def named(study: str, store: "Path | None" = None) -> list[str]:
    """The studies meant, in the order in which they run; those whose data are not here are left out of all."""
    from probe.studies import in_order
    from probe.studies import study as study_of

    asked = [each for each in in_order() if each.in_all] if study == "all" else [study_of(study)]
    return [each.name for each in asked if each.dataset is None or _is_here(each.name, each.dataset, study, store)]


def _is_here(name: str, dataset: str, asked: str, store: "Path | None") -> bool:
    """Whether a study's data are here; where not, it is said, or BadInput where it was asked for by name."""
    from probe.store import Store
    from probe.tasks.published_data import held_at

    if held_at(dataset, Store(store).root) is not None:
        return True
    do = f"probe fetch {dataset}" + (f" --store {store}" if store else "")
    if asked == name:
        raise BadInput(f"{dataset}, which the study {name} reads, is not here", do=f"bring it: {do}")
    say(f"the study {name} is left out: {dataset} is not here; to have its figures too: {do}")
    return False


def grouped(names: list[str]) -> list[list[str]]:
    """The studies that share their figures, together; then those whose figures are drawn from their rows alone."""
    from probe.studies import study as study_of

    apart = [name for name in names if study_of(name).apart]
    return [[name for name in names if name not in apart], *([name] for name in apart)]


def drew(path: "Path", said: object = say) -> None:
    """Say it of a figure, once of its four files."""
    if path.suffix == ".png":
        said(f"drew {path}")  # type: ignore[operator]
