"""probe import-rollouts: published outputs, whatever their columns are called, as responses to compare."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import emit, number, say, shown, table
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.experiments.published_outputs.import_file import Imported


@command("import-rollouts", place=140)
def import_rollouts(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="JSON lines, JSON, csv, tsv, parquet, Arrow, an Inspect log, a saved dataset, or a folder of shards.",
        ),
    ],
    out: settings.Out,
    mapped: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=PATH",
            help="problem, text, answer, sample, temperature, confidence,"
            " right or prompt = their column or a path into it [recognised]; COLUMN= leaves it out;"
            " problem=# numbers the rows, #//8 eight rows a problem.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="COLUMN=VALUE", help="Only such rows; VALUE * takes all.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="COLUMN", help="A file for each of its values.")] = None,
    gold: Annotated[Path | None, typer.Option("--gold", help="File with the answers, found by --on.")] = None,
    on: Annotated[str, typer.Option("--on", metavar="COLUMN", help="Of both files, or OURS=THEIRS; # = row.")] = "",
    name: Annotated[str | None, typer.Option("--name", help="What made the responses [name of the file OUT].")] = None,
    grade: Annotated[
        Literal["boxed", "answer_tag", "minerva", "marked", "final_number", "auto"] | None,
        typer.Option(help="Grade them too; where the answer stands in a text."),
    ] = None,
    keep_readable: Annotated[
        bool, typer.Option("--keep-readable", help="Leave out rows that cannot be read, and say why.")
    ] = False,
    to: Annotated[Literal["parquet", "inspect"], typer.Option("--to", help="inspect: a log (OUT.eval).")] = "parquet",
    overwrite: settings.Overwrite = False,
    as_json: settings.AsJson = False,
) -> None:
    """Read published outputs into a file to compare.

    A path may go into nested objects (6b_verification.solution); a list of responses becomes one row a sample. Two such
    files are compared with probe compare-rollouts BEFORE AFTER.
    """
    from probe.experiments.published_outputs.import_file import Asked, import_by
    from probe.experiments.published_outputs.import_file import import_rollouts as read
    from probe.experiments.published_outputs.selection import Selection

    given = dict(_pair(each, "--map") for each in mapped or ())
    selection = Selection(tuple(_pair(each, "--where") for each in where or ()), gold, on)
    asked = Asked(name, grade, overwrite, keep_readable, selection, to)
    made = import_by(by, files, out, given, asked) if by else {out: read(files, out, given, asked)}
    if as_json:
        told = [vars(found) | {"out": str(each), "notes": found.notes} for each, found in made.items()]
        return emit(told if by else told[0])
    for each, found in made.items():
        _show(found, each)


def _show(found: "Imported", out: Path) -> None:
    sources = [(field, path, "recognised" if field in found.recognised else "") for field, path in found.paths.items()]
    table(("column", "read from", ""), sources)
    shares_right = {"labelled right": found.right, "graded right": found.graded_right}
    shares = "".join(f", {what} {number(share)}" for what, share in shares_right.items() if share is not None)
    shown(f"{found.rows} responses to {found.problems} problems{shares}")
    for note in found.notes:
        shown(note)
    say(f"wrote {out}")


def _pair(said: str, option: str) -> tuple[str, str]:
    field, sign, path = said.partition("=")
    if not sign:
        what, example = {"--map": ("maps nothing", "text=their.column")}.get(option, ("chooses nothing", "method=base"))
        raise BadInput(f"{said!r} {what}", where=option, do=f"write it as {option} {example}")
    return field.strip(), path.strip()
