"""probe figure: draw a figure again from what the store holds."""

from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.run import drew, in_order
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.engine.job import Job
    from probe.measurements import Rows
    from probe.store import Store


@command("figure")
def figure(
    name: Annotated[str | None, typer.Argument(help="A figure (`probe ls figures`).")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every figure.")] = False,
    store: settings.Root = None,
    figures: settings.Figures = settings.FIGURES,
) -> None:
    """Draw a figure again from what the store holds.

    Nothing is made; studies that are not complete in the store are left out.
    """
    from probe.experiments.result import draw
    from probe.plots import figures as known

    if (name is None) != every:
        raise BadInput("name one figure, or give --all", do=f"known: {', '.join(known.names())}")
    if name is not None:
        known.get(name)
    held, drawn = settings.open_store(store), []
    for rows, inputs in held_rows(held):
        drawn += draw(rows, inputs, figures, name and [name])
    for path in drawn:
        drew(path)
    if not drawn:
        do = "make its study first: probe run STUDY"
        raise BadInput("the store holds nothing to draw it from", where=str(held.root), do=do)


def held_rows(store: "Store") -> "list[tuple[Rows, list[str]]]":
    """Rows and their digests: of the real study, and of the others together, each where it is complete in the store."""
    from probe.experiments.study import measured
    from probe.studies import studies, targets_of

    names = in_order(studies.names())
    found = dict(zip(names, targets_of(names, store.root), strict=True))
    whole = {name: jobs for name, jobs in found.items() if jobs and all(store.holds(job.recipe) for job in jobs)}
    groups: list[list[Job]] = [whole.pop("real", []), [job for jobs in whole.values() for job in jobs]]
    return [(measured(jobs, store), [job.recipe.digest for job in jobs]) for jobs in groups if jobs]
