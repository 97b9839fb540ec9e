"""probe import-rollouts: published outputs, whatever their columns are called, as responses to compare."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import emit, number, say, shown, table
from probe.errors import BadInput


@command("import-rollouts", place=140)
def import_rollouts(
    file: Annotated[
        Path, typer.Argument(help="JSON lines, JSON, csv, tsv, parquet, Arrow, or the folder of a saved dataset.")
    ],
    out: settings.Out,
    mapped: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=PATH",
            help="problem, text, answer, sample, temperature, confidence,"
            " right or prompt = their column or a path into it [recognised]; COLUMN= leaves it out.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What made the responses [name of the file OUT].")] = None,
    grade: Annotated[
        Literal["boxed", "answer_tag", "minerva", "marked", "final_number", "auto"] | None,
        typer.Option(help="Grade them too; where the answer stands in a text."),
    ] = None,
    overwrite: settings.Overwrite = False,
    as_json: settings.AsJson = False,
) -> None:
    """Read published outputs into a file to compare.

    A path may go into nested objects (6b_verification.solution); a list of responses becomes one row a sample. Two such
    files are compared with probe compare-rollouts BEFORE AFTER.
    """
    from probe.experiments.published_outputs.import_file import import_rollouts as read

    given = dict(_pair(each) for each in mapped or ())
    found = read(file, out, given, name=name, grade=grade, overwrite=overwrite)
    if as_json:
        return emit(vars(found) | {"out": str(out), "notes": found.notes})
    sources = [(field, path, "recognised" if field in found.recognised else "") for field, path in found.paths.items()]
    table(("column", "read from", ""), sources)
    shares_right = {"labelled right": found.right, "graded right": found.graded_right}
    shares = "".join(f", {what} {number(share)}" for what, share in shares_right.items() if share is not None)
    shown(f"{found.rows} responses to {found.problems} problems{shares}")
    for note in found.notes:
        shown(note)
    say(f"wrote {out}; compare it with another: probe compare-rollouts BEFORE AFTER")


def _pair(said: str) -> tuple[str, str]:
    field, sign, path = said.partition("=")
    if not sign:
        raise BadInput(f"{said!r} maps nothing", where="--map", do="write it as --map text=their.column")
    return field.strip(), path.strip()
