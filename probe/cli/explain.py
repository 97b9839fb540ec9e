"""probe explain: why did accuracy change between two checkpoints?"""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from probe.cli import settings
from probe.cli.experiment_command import present
from probe.cli.groups import command
from probe.cli.show import interval, number, p_value, shown, table
from probe.errors import BadInput

Rows = Sequence[dict[str, Any]]
AMOUNTS = ("alone", "in common", "in all", "95 % interval", "share", "p (Holm)")
COLUMNS = ("explanation", *AMOUNTS, "verdict", "what would decide it")
Ladder = Annotated[str, typer.Option(help="Temperatures the base is sampled at, with commas; 0 is greedy.")]
Prompts = Annotated[
    str | None,
    typer.Option(
        help="Templates both are also tried under: names with commas, all, or none [all; chain: there are none]."
    ),
]
Fresh = Annotated[str | None, typer.Option(help="Problems that cannot have leaked: a name or a file [chain: drawn].")]


@command("explain", place=65)
def explain(
    before: settings.Before,
    after: settings.After,
    run: settings.Asking,
    samples: settings.Samples = 8,
    temperature: settings.Warm = 1.0,
    ladder: Ladder = "1.4,1.2,0.8,0.6,0.4,0",
    prompts: Prompts = None,
    fresh: Fresh = None,
    devices: settings.Devices = "",
) -> None:
    """Say why accuracy changed: the verdict over rival explanations.

    Strategy mix, sharpening, contamination, prompt or format, label leakage, acquisition: what each accounts for alone
    and in common with others, and what would decide the rest. The base is also sampled colder and hotter, both on fresh
    problems and under other prompts.
    """
    from probe.experiments.explain.job import ExplainJob
    from probe.grammar import GRAMMARS
    from probe.tasks.benchmarks import problems

    pair = run.pair(before, after)
    elicitation, options = run.of(pair.before, temperature=temperature, samples=samples)
    tried = settings.other_prompts(prompts, elicitation, pair.before, run.manifest)
    untried = prompts == "none" or (not tried and elicitation.problems.name not in GRAMMARS)
    unleaked = problems(fresh, limit=run.limit) if fresh else None
    rungs, compute = _temperatures(ladder), run.compute(devices)
    job = ExplainJob(pair, elicitation, options, None if untried else tried, unleaked, rungs, compute)
    present(job, run, lambda result: show_verdicts(result.rows), title=job.label, summary=verdicts)


def verdicts(result: Any) -> dict[str, Any]:
    """For JSON: the sentence and the table of every pair and temperature."""
    from probe.experiments.explain.told import lines, pairs_of, sentence_of

    keys = ("reward", "temperature")
    return {
        "verdicts": [
            {key: rows[0][key] for key in keys} | {"verdict": sentence_of(rows), "explanations": lines(rows)}
            for rows in pairs_of(result.rows)
        ]
    }


def show_verdicts(rows: Rows) -> None:
    """The verdict in a sentence, the table, and what could not be decided; of every pair and temperature."""
    from probe.experiments.explain.told import lines, pairs_of, sentence_of

    for mine in pairs_of(rows):
        first, found = mine[0], lines(mine)
        sampled = f"T = {first['temperature']:g}" if first["temperature"] else "greedy"
        shown(f"{first['family']} -> {first['reward']}, {sampled}: {sentence_of(mine)}")
        table(COLUMNS, map(_cells, found), f"of {first['n']} responses to {first['n_problems']} problems", AMOUNTS)
        _null(mine)
        left = [line["explanation"] for line in found if line["verdict"] == "undecided"]
        shown(f"undecided: {', '.join(left)}" if left else "every explanation is decided")


def _cells(line: dict[str, Any]) -> list[str]:
    amounts = [number(line[word], sign=True) for word in ("alone", "common", "total")]
    limits = interval(line["lo"], line["hi"]) if line["lo"] is not None else ""
    numbers = [*amounts, limits, number(line["share"], sign=True), p_value(line["p_holm"])]
    return [line["explanation"], *numbers, line["verdict"], line["what would decide it"]]


def _null(rows: Rows) -> None:
    for row in rows:
        if row["side"] == "null":
            limits = interval(row["lo"], row["hi"])
            shown(f"null, the base against itself: {number(row['value'], sign=True)} {limits}")


def _temperatures(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(each) for each in settings.split(text))
    except ValueError:
        found = ()
    if not found or not all(0 <= each <= 100 for each in found):
        raise BadInput(f"{text!r} are no temperatures", where="--ladder", do="give some, as 0.8,0.6,0.4,0")
    return found
