"""probe weights: how do the weights of two checkpoints differ?"""

from collections.abc import Iterator, Sequence
from typing import Any

from probe.cli import settings
from probe.cli.experiment_command import present
from probe.cli.groups import command
from probe.cli.show import number, table

Rows = Sequence[dict[str, Any]]
WEIGHTS = ("module", "|dW|/|W|", "stable rank", "n90", "sparsity", "unchanged", "cosine")
SHOWN = ("relative", "stable_rank", "n90", "sparsity", "unchanged")


@command("weights", place=120)
def weights(
    before: settings.Before,
    after: settings.After,
    run: settings.Settings,
    other: settings.Other = None,
) -> None:
    """Compare the weights of two checkpoints module by module: size, rank, sparsity; its cosine with another run."""
    from probe.experiments.weight_difference.job import WeightsJob

    job = WeightsJob(run.pair(before, after, other))
    present(job, run, lambda result: table(WEIGHTS, _weight_lines(result.rows), job.label, right=WEIGHTS[1:]))


def _weight_lines(rows: Rows) -> Iterator[tuple[str, ...]]:
    mine = [row for row in rows if row["side"] == "change"]
    for module in dict.fromkeys(row["module"] for row in mine):
        at = {row["name"].removeprefix("weight_change/"): row for row in mine if row["module"] == module}
        cells = [at[name]["value"] for name in SHOWN]
        yield (module, *(number(cell) for cell in cells), number(at["cosine"]["value"]) if "cosine" in at else "")
