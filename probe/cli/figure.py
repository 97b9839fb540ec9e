"""probe figure: draw a figure again from what the store holds."""

from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.run import drew, grouped
from probe.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    for rows, inputs, own in held_rows(held):
        names = own if name is None else [name] if name in (own or [name]) else []
        drawn += draw(rows, inputs, figures, names)
    for path in drawn:
        drew(path)
    if not drawn:
        do = "make its study first: probe run STUDY"
        raise BadInput("the store holds nothing to draw it from", where=str(held.root), do=do)


def held_rows(store: "Store") -> "list[tuple[Rows, list[str], Sequence[str] | None]]":
    """Rows, their digests, and the figures that they draw (None: whatever they allow), where complete in the store.

    Of the studies that share their figures together, then of those that stand apart one by one.
    """
    from probe.experiments.study import measured
    from probe.studies import in_order, study

    found = {each.name: each.jobs(store.root) for each in in_order()}
    whole = {name: jobs for name, jobs in found.items() if jobs and all(store.holds(job.recipe) for job in jobs)}
    held: list[tuple[Rows, list[str], Sequence[str] | None]] = []
    for group in grouped(list(whole)):
        jobs: list[Job] = [job for name in group for job in whole[name]]
        own = study(group[0]).figures if len(group) == 1 else ()  # only a study that is apart has its own
        if jobs:
            held.append((measured(jobs, store), [job.recipe.digest for job in jobs], own or None))
    return held
