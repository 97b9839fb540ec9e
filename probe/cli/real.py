"""probe compare-rollouts: real outputs before and after, from published files."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from probe.cli.app import app
from probe.cli.changes import changes, show_cells, show_changes
from probe.cli.options import FIGURES, AsJson, Figures, Root, open_store
from probe.cli.show import emit, say

SHOWN = (
    *("accuracy", "brier", "ece", "auroc", "code_share", "python_share", "parse_rate"),
    *("trace_validity", "trace_checked"),
)


@app.command("compare-rollouts")
def compare_rollouts(
    path: Annotated[Path, typer.Argument(help="Folder of a saved dataset of paired outputs, or the file BEFORE.")],
    after: Annotated[Path | None, typer.Argument(help="The file AFTER.")] = None,
    grading: Annotated[
        Literal["published", "probe"] | None, typer.Option(help="Labels: the authors' [where there are any], or ours.")
    ] = None,
    extract: Annotated[
        Literal["boxed", "answer_tag", "final_number"] | None, typer.Option(help="Where the answer stands in a text.")
    ] = None,
    store: Root = None,
    figures: Figures = FIGURES,
    as_json: AsJson = False,
) -> None:
    """Compare real outputs before and after RL.

    Problem by problem, with the real_* figures. Files are jsonl, json, csv, parquet or arrow with the columns problem,
    text and answer, and optionally sample, temperature, confidence and right: `probe import-rollouts` makes such.
    """
    from probe.experiments.published_outputs.job import FIGURES as DRAWN
    from probe.experiments.published_outputs.job import real_rows, real_source

    job = real_source([path, after] if after else [path], grading, extract)
    rows = real_rows(job, open_store(store))
    if as_json:
        emit({"grading": job.source.grading, "digest": job.recipe.digest, "measurements": rows})
    else:
        _show(rows, job.source.family, f"{job.source.grading} labels")
    from probe.experiments.study import draw  # loads torch: what was asked for is on the screen by now

    draw(rows, [job.recipe.digest], figures, lambda file: say(f"drew {file.with_suffix('.png')}"), DRAWN)


def _show(rows: list[dict[str, Any]], family: str, grading: str) -> None:
    """Two tables a pair; Holm's family is every change that is shown, of all pairs."""
    found = sorted(changes([row for row in rows if row["name"] in SHOWN]), key=lambda row: SHOWN.index(row["name"]))
    for reward in dict.fromkeys(row["reward"] for row in rows):
        title = f"{family} -> {reward} ({grading})"
        show_changes([row for row in found if row["reward"] == reward], title)
        show_cells([row for row in rows if row["reward"] == reward], f"{family} -> {reward}: problems")
