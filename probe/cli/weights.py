"""probe weights: how do the weights of two checkpoints differ?"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from probe.cli import settings
from probe.cli.experiment_command import present
from probe.cli.groups import command
from probe.cli.show import number, table

Rows = Sequence[dict[str, Any]]
WEIGHTS = ("module", "|dW|/|W|", "stable rank", "null", "n90", "sparsity", "null", "unchanged", "cosine")
Draws = Annotated[int, typer.Option(min=1, help="Random changes that every null draws.")]


@command("weights", place=120)
def weights(
    before: settings.Before,
    after: settings.After,
    run: settings.Settings,
    other: settings.Other = None,
    draws: Draws = 20,
) -> None:
    """Compare the weights of two checkpoints module by module: size, rank and sparsity, against random changes."""
    from probe.experiments.weight_difference.job import WeightsJob

    job = WeightsJob(run.pair(before, after, other), draws)
    present(job, run, lambda result: table(WEIGHTS, _weight_lines(result.rows), job.label, right=WEIGHTS[1:]))


def _weight_lines(rows: Rows) -> Iterator[tuple[str, ...]]:
    mine = [row for row in rows if row["side"] == "change"]
    for module in dict.fromkeys(row["module"] for row in mine):
        at = {row["name"].removeprefix("weight_change/"): row for row in mine if row["module"] == module}
        cells = [at["relative"]["value"], at["stable_rank"]["value"], at["stable_rank"]["null"], at["n90"]["value"]]
        cells += [at["sparsity"]["value"], at["sparsity"]["null"], at["unchanged"]["value"]]
        yield (module, *(number(cell) for cell in cells), number(at["cosine"]["value"]) if "cosine" in at else "")
