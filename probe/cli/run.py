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

ORDER = ("real", "tiny", "random", "inside")  # what can be looked at first comes first
BY_NAME = ("inside",)  # no part of all: it takes as long as the rest together


@command("run")
def run(
    study: Annotated[str, typer.Argument(help="A study (`probe ls studies`), or all (but inside).")],
    dry: settings.Dry = False,
    workers: settings.Workers = None,
    store: settings.Root = None,
    figures: settings.Figures = settings.FIGURES,
    as_json: settings.AsJson = False,
) -> None:
    """Make, measure and draw a study.

    Only what is not there yet is made. Killed at any moment, the same command goes on from what is finished.
    """
    from probe.engine.pool import pool_size
    from probe.engine.progress import Progress
    from probe.experiments.study import run_studies
    from probe.studies import targets_of

    held, names = settings.open_store(store), named(study, store)
    if as_json and not dry:
        what = "--json goes with --dry: what a run leaves is its figures"
        raise BadInput(what, do="probe run STUDY --dry --json")
    if dry:
        flat = [job for targets in targets_of(names, store) for job in targets]
        return announce(flat, held, workers, ", ".join(names), as_json)
    for group in (["real"] if "real" in names else [], [name for name in names if name != "real"]):
        if group:
            with Progress(messages(), held, pool_size(workers)) as progress:
                hear = {"listener": progress, "on_figure": lambda path, said=progress.say: drew(path, said)}
                run_studies(targets_of(group, store), held, figures, workers=workers, **hear)  # type: ignore[arg-type]


def named(study: str, store: "Path | None" = None) -> list[str]:
    """The studies meant, in the order in which they run; real outputs that are not here are left out of all."""
    from probe.studies import studies
    from probe.studies.real import DATASET, real_folder

    studies.get(study if study != "all" else "tiny")
    every = [name for name in studies.names() if name not in BY_NAME]
    names = in_order(every) if study == "all" else [study]
    if "real" in names and real_folder(store) is None:
        do = f"probe fetch {DATASET}" + (f" --store {store}" if store else "")
        if study == "real":
            raise BadInput(f"{DATASET}, the real outputs, is not here", do=f"bring it: {do}")
        say(f"the real outputs are left out: {DATASET} is not here; to have their figures too: {do}")
        names.remove("real")
    return names


def in_order(names: list[str]) -> list[str]:
    """Studies in the order in which they run."""
    return sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def drew(path: "Path", said: object = say) -> None:
    """Say it of a figure, once of its four files."""
    if path.suffix == ".png":
        said(f"drew {path}")  # type: ignore[operator]
