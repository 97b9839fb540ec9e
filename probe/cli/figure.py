"""probe figure: draw a figure again from what the store holds."""

from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.run import drew, grouped
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.engine.job import Job
    from probe.measurements import Rows
    from probe.store import Store


@command("figure", place=170)
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
    """Rows and their digests: of studies that stand apart, then of the others together, where complete in the store."""
    from probe.experiments.study import measured
    from probe.studies import in_order

    found = {each.name: each.jobs(store.root) for each in in_order()}
    whole = {name: jobs for name, jobs in found.items() if jobs and all(store.holds(job.recipe) for job in jobs)}
    groups: list[list[Job]] = [[job for name in group for job in whole[name]] for group in grouped(list(whole))]
    return [(measured(jobs, store), [job.recipe.digest for job in jobs]) for jobs in groups if jobs]
