"""probe weight-path: is the path of a run's weights a line?"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from probe.cli import settings
from probe.cli.experiment_command import present
from probe.cli.groups import command
from probe.cli.show import interval, number, p_value, shown, table

Rows = Sequence[dict[str, Any]]
SHAPES = ("of the path", "run", "walks as long", "range", "p")
ANSWERS = ("part", "accuracy", "95 % interval", "code share", "95 % interval", "of RL's gain", "95 % interval")
MODULES = ("tensor", "first direction", "walks", "linear", "walks", "rank one", "walks")
RANGE = "/null"
Name = Annotated[
    str, typer.Argument(help="A run made here: a name of the manifest, or NAME@STEP for its first batches.")
]
Every = Annotated[int, typer.Option(min=1, help="Keep each that many batches; the run is made again for it.")]


@command("weight-path", place=125)
def weight_path(name: Name, run: settings.Settings, every: Every = 1) -> None:
    """Say whether the weights of a run went along a line, and whether its first quarter says where it ends.

    Beside random walks of the same steps, which look low-rank in time too. Only runs made here keep their steps.
    """
    from probe.experiments.weight_path.job import path_of

    job = path_of(run.checkpoint(name), every)
    present(job, run, lambda result: _show(result.rows, job.label))


def _show(rows: Rows, title: str) -> None:
    known = [row for row in rows if row["module"]]
    table(SHAPES, list(_shapes([row for row in known if row["module"] == "all"])), title, right=SHAPES[1:])
    modules = [name for name in dict.fromkeys(row["module"] for row in known) if name != "all"]
    if len(modules) > 1:
        table(MODULES, [_module(known, name) for name in modules], f"{title}: by tensor", right=MODULES[1:])
    for temperature in (1.0, 0.0):
        parts = [row for row in rows if row["part"] and row["temperature"] == temperature]
        how = f"T = {temperature:g}" if temperature else "greedy"
        table(ANSWERS, list(_answers(parts)), f"{title}, {how}: the first quarter made as long", right=ANSWERS[1:])
        for row in parts:
            if row.get("reason") and row["part"] == "line":
                shown(f"{how}, {row['name']}: {row['reason']}")


def _shapes(rows: Rows) -> Iterator[tuple[str, ...]]:
    ranges = {row["name"]: row for row in rows if row["name"].endswith(RANGE)}
    for row in rows:
        name = row["name"].removeprefix("weight_path/")
        walks = ranges.get(row["name"] + RANGE)
        if walks:
            limits = interval(walks["lo"], walks["hi"])
            yield name, number(row["value"]), number(row["null"]), limits, p_value(row["p"])
        elif row["name"] not in ranges:
            yield name, number(row["value"]), "", "", ""


def _module(rows: Rows, module: str) -> list[str]:
    mine = {row["name"]: row for row in rows if row["module"] == module}
    found = [mine.get(f"weight_path/{name}") for name in ("first_direction", "linear", "rank_one")]
    return [module, *(number(row[column] if row else None) for row in found for column in ("value", "null"))]


def _answers(rows: Rows) -> Iterator[list[str]]:
    known = {(row["name"], row["part"]): row for row in rows}
    for part in dict.fromkeys(row["part"] for row in rows):
        cells = [part]
        for name in ("path_accuracy", "path_code_share", "path_recovered_accuracy"):
            row = known.get((name, part))
            cells += [number(row["value"]), interval(row["lo"], row["hi"])] if row else ["", ""]
        yield cells
