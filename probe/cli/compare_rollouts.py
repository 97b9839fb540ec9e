"""probe compare-rollouts: published outputs before and after RL."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from probe.cli import settings
from probe.cli.changes import changes, show_cells, show_changes
from probe.cli.experiment_command import present
from probe.cli.groups import command
from probe.cli.show import shown
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.experiments.result import Result

SHOWN = (
    *("accuracy", "brier", "ece", "auroc", "code_share", "python_share", "parse_rate", "cut_off"),
    *("pass_at_k", "cot_pass_at_k", "trace_validity", "trace_checked"),
)


@command("compare-rollouts", place=150)
def compare_rollouts(
    path: settings.Outputs,
    after: settings.OutputsAfter = None,
    grading: settings.Labels = None,
    extract: Annotated[
        Literal["boxed", "answer_tag", "minerva", "marked", "final_number", "auto"] | None,
        typer.Option(help="Where the answer stands in a text."),
    ] = None,
    store: settings.Root = None,
    figures: settings.Figures = settings.FIGURES,
    as_json: settings.AsJson = False,
) -> None:
    """Compare real outputs before and after RL.

    Problem by problem, with the real_* figures. A published data set (rlcr_math500) is brought by `probe fetch`. Files
    are jsonl, json, csv, parquet or arrow with the columns problem, text and answer, and optionally sample,
    temperature, confidence and right: `probe import-rollouts` makes such.
    """
    from probe.experiments.published_outputs.job import published_job

    run = settings.Settings(workers=1, store=store, figures=figures, as_json=as_json)
    job = published_job([path, after] if after else [meant(path, run.held.root)], grading, extract)
    labels = job.source.grading

    def notes() -> list[str]:
        return [*job.source.notes, *job.left_out(run.held)]

    def show(result: "Result") -> None:
        _show(result, job.source.family, labels)
        for note in notes():
            shown(note)

    present(job, run, show, summary=lambda _: {"grading": labels, "notes": notes()})


def meant(path: Path, root: Path) -> Path:
    """The path itself, or where the published data set of that name lies. BadInput where it is not here yet."""
    from probe.models.loading.manifest import load_manifest
    from probe.tasks.published_data import held_at

    name = str(path)
    if path.exists() or name not in load_manifest().datasets:
        return path
    found = held_at(name, root)
    if found is None:
        raise BadInput(f"{name} is not here yet", where=str(root), do=f"bring it: probe fetch {name}")
    return found


def _show(result: "Result", family: str, grading: str) -> None:
    """Two tables a pair; Holm's family is every change that is shown, of all pairs."""
    from probe.experiments.change_sentence import sentence

    rows = result.rows
    found = sorted(changes([row for row in rows if row["name"] in SHOWN]), key=lambda row: SHOWN.index(row["name"]))
    for reward in dict.fromkeys(row["reward"] for row in rows):
        title = f"{family} -> {reward} ({grading} labels)"
        show_changes([row for row in found if row["reward"] == reward], title)
        show_cells([row for row in rows if row["reward"] == reward], f"{family} -> {reward}")
    for reward in dict.fromkeys(row["reward"] for row in rows):
        shown(f"{family} -> {reward}: {sentence([row for row in found if row['reward'] == reward])}")
