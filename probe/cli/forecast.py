"""probe forecast: what RL under each reward will change, before any RL."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probe.cli import settings
from probe.cli.experiment_command import present
from probe.cli.groups import command
from probe.cli.show import interval, number, p_value, shown, table
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.experiments.forecast.job import ForecastFileJob, ForecastJob
    from probe.experiments.result import Result

Rows = Sequence[dict[str, Any]]
CHANGES = (
    *("reward", "trait", "per unit", "95 % interval", "shuffled", "p", "p (Holm)"),
    *("today", "reach", "n", "problems"),
)
VERDICTS = ("reward", "varies", "form", "accuracy", "95 % interval", "z", "p (Holm)", "n", "problems", "verdict")
Name = Annotated[str | None, typer.Argument(help=settings.CHECKPOINT)]
File = Annotated[Path | None, typer.Option("--rollouts", help="Responses in a file instead, several to a problem.")]
Group = Annotated[int, typer.Option(min=2, help="Per problem: the group.")]
Boxes = Annotated[
    Literal["boxed", "answer_tag", "minerva", "marked", "final_number", "auto"],
    typer.Option(help="Where the answer stands in a text of --rollouts."),
]


@command("forecast", place=65)
def forecast(
    run: settings.Asking,
    name: Name = None,
    rollouts: File = None,
    samples: Group = 16,
    temperature: settings.Warm = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    extract: Boxes = "boxed",
) -> None:
    """Forecast what RL under each reward will change, from the base's responses alone.

    For every reward: sign and size of the first change of accuracy, code share, parse rate, length and entropy, how far
    each can go, and whether the checkpoint will respond at all. An organism is asked the chains that its runs train on.
    """
    job = _job(name, rollouts, run, extract, temperature=temperature, samples=samples, seed=seed)

    def show(result: "Result") -> None:
        _show(result.rows, job.label)
        for note in notes:
            shown(note)

    notes = list(job.notes)
    present(job, run, show, summary=lambda result: {"verdict": _responder(result.rows), "notes": notes})


def _job(
    name: str | None, rollouts: Path | None, run: settings.Asking, extract: Any, **ask: Any
) -> "ForecastJob | ForecastFileJob":
    from probe.experiments.forecast.job import ForecastJob, file_job, trained_on

    if (name is None) == (rollouts is None):
        raise BadInput("one thing is forecast at a time", do="give a checkpoint, or --rollouts FILE")
    if rollouts is not None:
        return file_job(rollouts, extract)
    one = run.checkpoint(str(name))
    elicitation, options = run.of(one, **ask)
    return ForecastJob(one, trained_on(one, elicitation, run.limit), options, run.compute())


def _show(rows: Rows, title: str) -> None:
    """The changes, the verdicts, and the one on the checkpoint."""
    heading = f"{title}: first change per unit step (mean field: after two batches), and reach"
    table(CHANGES, _changes(rows), heading, right=CHANGES[2:])
    title = f"{title}: accuracy on new problems, as recommended for each reward"
    table(VERDICTS, _verdicts(rows), title, right=VERDICTS[3:-1])
    for row in rows:
        if row["name"] == "forecast/response" and not row["part"]:
            shown(f"{row['reward']}: {row['reason']}")
    shown(_responder(rows))


def _responder(rows: Rows) -> str:
    return next(str(row["reason"]) for row in rows if row["name"] == "forecast/responder")


def _changes(rows: Rows) -> Iterator[tuple[object, ...]]:
    """One line a reward, trait and form. Holm's family is what is shown, but for rewards that teach nothing."""
    from probe.stats import holm

    at = {(row["reward"], row["name"], row["side"], row["part"]): row for row in rows}
    mine = [row for row in rows if row["side"] == "change" and row["name"].startswith("forecast/")]
    tested = [row for row in mine if row["kind"] != "null" and row["p"] is not None and row["p"] == row["p"]]
    adjusted = dict(zip(map(id, tested), holm([row["p"] for row in tested]), strict=True)) if tested else {}
    for row in mine:
        reward, trait = row["reward"], row["name"].removeprefix("forecast/")
        band = at.get((reward, row["name"], "permuted", row["part"]))
        ends = [at.get((reward, f"reach/{trait}", side, None)) for side in ("before", "after")]
        direct = row["part"] == "direct"
        yield (
            reward,
            trait if direct else f"{trait}, {row['part']}",
            number(row["value"], sign=True),
            interval(row["lo"], row["hi"]),
            interval(band["lo"], band["hi"]) if band else "",
            p_value(row["p"]),
            p_value(adjusted.get(id(row))),
            *(number(end["value"]) if end and direct else "" for end in ends),
            row["n"],
            row["n_problems"],
        )


def _verdicts(rows: Rows) -> Iterator[tuple[object, ...]]:
    at = {(row["reward"], row["name"], row["part"]): row for row in rows if row["side"] in ("", "change")}
    for row in rows:
        if row["name"] == "forecast/response" and row["part"]:
            accuracy = at[row["reward"], "forecast/accuracy", row["part"]]
            varied = at[row["reward"], "forecast/varied", None]
            yield (
                row["reward"],
                number(varied["value"]),
                row["part"],
                number(accuracy["value"], sign=True),
                interval(accuracy["lo"], accuracy["hi"]),
                number(row["value"]),
                p_value(row["p"]),
                row["n"],
                row["n_problems"],
                row["reason"],
            )
