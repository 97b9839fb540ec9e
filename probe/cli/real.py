"""probe compare-rollouts: real outputs before and after, from published files."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from probe.cli.app import app
from probe.cli.changes import changes, show_cells, show_changes
from probe.cli.options import FIGURES, AsJson, Figures, Root, open_store
from probe.cli.show import emit, say
from probe.errors import BadInput

SHOWN = (
    *("accuracy", "brier", "ece", "auroc", "code_share", "python_share", "parse_rate"),
    *("trace_validity", "trace_checked"),
)


@app.command("compare-rollouts")
def compare_rollouts(
    path: Annotated[Path, typer.Argument(help="A published data set, the folder of a saved one, or the file BEFORE.")],
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

    Problem by problem, with the real_* figures. A published data set (rlcr_math500) is brought by `probe fetch`. Files
    are jsonl, json, csv, parquet or arrow with the columns problem, text and answer, and optionally sample,
    temperature, confidence and right: `probe import-rollouts` makes such.
    """
    from probe.pipeline.real import FIGURES as DRAWN
    from probe.pipeline.real import real_rows, real_source

    held = open_store(store)
    job = real_source([path, after] if after else [meant(path, held.root)], grading, extract)
    rows = real_rows(job, held)
    if as_json:
        emit({"grading": job.source.grading, "digest": job.recipe.digest, "measurements": rows})
    else:
        _show(rows, job.source.family, f"{job.source.grading} labels")
    from probe.pipeline.study import draw  # loads torch: what was asked for is on the screen by now

    draw(rows, [job.recipe.digest], figures, lambda file: say(f"drew {file.with_suffix('.png')}"), DRAWN)


def meant(path: Path, root: Path) -> Path:
    """The path itself, or where the published data set of that name lies. BadInput where it is not here yet."""
    from probe.models.manifest import load_manifest
    from probe.tasks.published_data import held_at

    name = str(path)
    if path.exists() or name not in load_manifest().datasets:
        return path
    found = held_at(name, root)
    if found is None:
        raise BadInput(f"{name} is not here yet", where=str(root), do=f"bring it: probe fetch {name}")
    return found


def _show(rows: list[dict[str, Any]], family: str, grading: str) -> None:
    """Two tables a pair; Holm's family is every change that is shown, of all pairs."""
    found = sorted(changes([row for row in rows if row["name"] in SHOWN]), key=lambda row: SHOWN.index(row["name"]))
    for reward in dict.fromkeys(row["reward"] for row in rows):
        title = f"{family} -> {reward} ({grading})"
        show_changes([row for row in found if row["reward"] == reward], title)
        show_cells([row for row in rows if row["reward"] == reward], f"{family} -> {reward}: problems")
