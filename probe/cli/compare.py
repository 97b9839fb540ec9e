"""probe compare: what is different between two checkpoints."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probe.cli.app import app
from probe.cli.changes import changes, show_cells, show_changes
from probe.cli.names import CHECKPOINT, ManifestFile, subject
from probe.cli.options import AsJson, Dry, Root, Workers, open_store
from probe.cli.plans import announce
from probe.cli.show import emit, messages, say

if TYPE_CHECKING:
    from probe.pipeline.compare import CompareJob


@app.command()
def compare(
    before: Annotated[str, typer.Argument(help=CHECKPOINT)],
    after: Annotated[str, typer.Argument(help=CHECKPOINT)],
    problems: Annotated[Literal["chain"], typer.Option(help="What they are asked.")] = "chain",
    dry: Dry = False,
    workers: Workers = None,
    store: Root = None,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
) -> None:
    """Measure everything that differs between two models.

    Both answer the same problems, sampled and greedy; the text of the second is scored under both. A checkpoint
    against itself is the null pair: sampled twice, nothing should change.
    """
    from probe.pipeline import compare as pair
    from probe.pipeline.progress import Progress
    from probe.pipeline.runner import plan, pool_size

    held, job = open_store(store), pair.CompareJob(subject(before, manifest), subject(after, manifest))
    if dry:
        return announce(plan([job], held), held, pool_size(workers), f"{before} -> {after}", as_json)
    with Progress(messages(), held, pool_size(workers)) as progress:
        table = pair.compare(
            job.before, job.after, held, workers=workers, on_plan=progress.on_plan, on_done=progress.on_done
        )
        rows = table.to_pylist()
    if as_json:
        return emit({"digest": job.recipe.digest, "changes": changes(rows), "measurements": rows})
    _show(rows, job)


def _show(rows: list[dict[str, Any]], job: "CompareJob") -> None:
    """Two tables a temperature; Holm's family is every tested row of both temperatures."""
    found, pair = changes(rows), f"{job.before.name} -> {job.after.name}"
    for temperature in (1.0, 0.0):
        how = f"{pair}, {'T = 1' if temperature else 'greedy'}{' (null pair)' if job.is_null else ''}"
        show_changes([row for row in found if row["temperature"] == temperature], how)
        show_cells([row for row in rows if row["temperature"] == temperature], f"{how}: responses")
    if any(row["destroyed"] for row in rows):
        say(f"{job.after.name} is destroyed (answers no longer parse, or got worse within a strategy): no 'no effect'")
    say(f"kept as measurements {job.recipe.digest[:16]}")
