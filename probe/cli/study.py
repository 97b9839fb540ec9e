"""probe run, probe figure: make what a study needs, and draw."""

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

ORDER = ("real", "tiny", "random")  # of all: what can be looked at first comes first


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="A study (`probe ls studies`), or all.")],
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
    from probe.pipeline.runner import plan, pool_size
    from probe.pipeline.study import run_studies
    from probe.studies import targets_of

    held, names = open_store(store), named(study)
    if dry:
        return announce(
            plan([job for targets in targets_of(names) for job in targets], held),
            held,
            pool_size(workers),
            ", ".join(names),
            as_json,
        )
    if as_json:
        raise BadInput(
            "--json goes with --dry: a run has no other result than its figures", do="probe run STUDY --dry --json"
        )
    for group in (["real"], [name for name in names if name != "real"]):
        if group and set(group) <= set(names):
            with Progress(messages(), held, pool_size(workers)) as progress:
                run_studies(
                    targets_of(group),
                    held,
                    figures,
                    workers=workers,
                    on_plan=progress.on_plan,
                    on_done=progress.on_done,
                    on_figure=lambda path: progress.say(f"drew {path.with_suffix('.png')}"),
                )


def named(study: str) -> list[str]:
    """The studies meant, in the order in which they run; real outputs that are not here are left out of all."""
    from probe.studies import studies
    from probe.studies.real import DATASET, DEFAULT, PLACE, real_folder

    studies.get(study if study != "all" else "tiny")
    names = sorted(studies.names(), key=lambda name: (name not in ORDER, *(name != known for known in ORDER), name))
    names = names if study == "all" else [study]
    if "real" in names and real_folder() is None:
        do = f"set {PLACE} to the folder that holds {DATASET}"
        if study == "real":
            raise BadInput("the real outputs are not here", where=DEFAULT, do=do)
        say(f"real figures are skipped: no {DATASET} in {DEFAULT}; {do}")
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
        drawn += draw(rows, inputs, figures, lambda path: say(f"drew {path.with_suffix('.png')}"), name and [name])
    if not drawn:
        do = "make its study first: probe run STUDY"
        raise BadInput("the store holds nothing to draw it from", where=str(open_store(store).root), do=do)


def held_rows(store: "Store") -> list[tuple[list[dict[str, Any]], list[str]]]:
    """Rows and their digests: of the real study, and of the others together, each where it is complete in the store."""
    from probe.pipeline.study import measured
    from probe.studies import studies

    whole = {name: targets for name, make in studies.items() if (targets := make()) and _held(store, targets)}
    groups = [whole.pop("real", []), [job for targets in whole.values() for job in targets]]
    return [(measured(jobs, store), [job.recipe.digest for job in jobs]) for jobs in groups if jobs]


def _held(store: "Store", jobs: "list[Job]") -> bool:
    return all(store.holds(job.recipe) for job in jobs)
