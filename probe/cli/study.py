"""probe run, probe figure: make what a study needs, and draw."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli.app import app
from probe.cli.options import FIGURES, AsJson, Dry, Figures, Root, Workers, open_store
from probe.cli.plans import announce
from probe.cli.show import messages, say
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.pipeline.jobs import Job
    from probe.store import Store

ORDER = ("real", "tiny", "random", "inside")  # what can be looked at first comes first
BY_NAME = ("inside",)  # no part of all: it takes as long as the rest together


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="A study (`probe ls studies`), or all (but inside).")],
    dry: Dry = False,
    workers: Workers = None,
    store: Root = None,
    figures: Figures = FIGURES,
    as_json: AsJson = False,
) -> None:
    """Make, measure and draw a study.

    Only what is not there yet is made. Killed at any moment, the same command goes on from what is finished.
    """
    from probe.pipeline.progress import Progress
    from probe.pipeline.quick import is_quick, make_all
    from probe.pipeline.runner import plan, pool_size
    from probe.pipeline.study import run_studies
    from probe.studies import targets_of

    held, names, many = open_store(store), named(study, store), pool_size(workers)
    if as_json and not dry:
        what = "--json goes with --dry: what a run leaves is its figures"
        raise BadInput(what, do="probe run STUDY --dry --json")
    if dry:
        return announce(plan(_flat(targets_of(names, store)), held), held, many, ", ".join(names), as_json)
    for group in (["real"] if "real" in names else [], [name for name in names if name != "real"]):
        if not group:
            continue
        targets = targets_of(group, store)
        todo = plan(_flat(targets), held)
        with Progress(messages(), held, many) as progress:
            progress.on_plan(todo)
            if is_quick(todo, held):
                make_all(todo, held, workers=1, on_done=progress.on_done)
            hear: dict[str, Any] = {
                "on_done": progress.on_done,
                "on_figure": lambda path, say=progress.say: say(drew(path)),
            }
            run_studies(targets, held, figures, workers=workers, **hear)


def _flat(targets: "Iterable[list[Job]]") -> "list[Job]":
    return [job for jobs in targets for job in jobs]


def named(study: str, store: Path | None = None) -> list[str]:
    """The studies meant, in the order in which they run; real outputs that are not here are left out of all."""
    from probe.studies import studies
    from probe.studies.real import DATASET, real_folder

    studies.get(study if study != "all" else "tiny")
    every = [name for name in studies.names() if name not in BY_NAME]
    names = _in_order(every) if study == "all" else [study]
    if "real" in names and real_folder(store) is None:
        do = f"probe fetch {DATASET}" + (f" --store {store}" if store else "")
        if study == "real":
            raise BadInput(f"{DATASET}, the real outputs, is not here", do=f"bring it: {do}")
        say(f"the real outputs are left out: {DATASET} is not here; to have their figures too: {do}")
        names.remove("real")
    return names


@app.command()
def figure(
    name: Annotated[str | None, typer.Argument(help="A figure (`probe ls figures`).")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every figure.")] = False,
    store: Root = None,
    figures: Figures = FIGURES,
) -> None:
    """Draw a figure again from what the store holds.

    Nothing is made; studies that are not complete in the store are left out.
    """
    from probe.pipeline.study import draw
    from probe.plots import figures as known

    if (name is None) != every:
        raise BadInput("name one figure, or give --all", do=f"known: {', '.join(known.names())}")
    if name is not None:
        known.get(name)
    drawn = []
    for rows, inputs in held_rows(open_store(store)):
        drawn += draw(rows, inputs, figures, lambda path: say(drew(path)), name and [name])
    if not drawn:
        do = "make its study first: probe run STUDY"
        raise BadInput("the store holds nothing to draw it from", where=str(open_store(store).root), do=do)


def held_rows(store: "Store") -> list[tuple[list[dict[str, Any]], list[str]]]:
    """Rows and their digests: of the real study, and of the others together, each where it is complete in the store."""
    from probe.pipeline.study import measured
    from probe.studies import studies, targets_of

    names = _in_order(studies.names())
    found = dict(zip(names, targets_of(names, store.root), strict=True))
    whole = {name: targets for name, targets in found.items() if targets and _held(store, targets)}
    groups = [whole.pop("real", []), _flat(whole.values())]
    return [(measured(jobs, store), [job.recipe.digest for job in jobs]) for jobs in groups if jobs]


def _in_order(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def _held(store: "Store", jobs: "list[Job]") -> bool:
    return all(store.holds(job.recipe) for job in jobs)


def drew(path: Path) -> str:
    """What is said of a figure, whichever of its files is given."""
    return f"drew {path.with_suffix('.png')}"
