"""probe cross-sample: how few tokens carry what RL did?"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from probe.cli import settings
from probe.cli.experiment_command import present
from probe.cli.groups import command
from probe.cli.show import interval, number, p_value, shown, table

Rows = Sequence[dict[str, Any]]
WRITERS = {"before": "the base writes, RL steps in", "after": "RL writes, the base steps in"}
SHARES = {"before": "recovered", "after": "removed"}
GAIN = ("{} of the gain", "95 % interval", "random", "p")
COLUMNS = ("budget", "swapped", "accuracy", "random", "code share", "random", *GAIN)
Samples = Annotated[int, typer.Option(min=1, help="Per problem at T = 1; one greedy comes with them.")]


@command("cross-sample", place=115)
def cross_sample(before: settings.Before, after: settings.After, run: settings.Asking, samples: Samples = 4) -> None:
    """Let one checkpoint write and the other step in where the two part most: how few tokens carry what RL did?

    Budgets of 1 to 16 % of the tokens, in both directions, beside as many swaps at random places. Thresholds are chosen
    on the texts to one half of the problems and told on the other.
    """
    from probe.experiments.cross_sampling.job import CrossSampleJob

    pair = run.pair(before, after)
    elicitation, options = run.of(pair.before, temperature=1.0, samples=samples)
    job = CrossSampleJob(pair, elicitation, options, run.compute(batch=256))
    present(job, run, lambda result: _show(result.rows, job.label))


def _show(rows: Rows, title: str) -> None:
    for temperature in sorted({row["temperature"] for row in rows}, reverse=True):
        mine = [row for row in rows if row["temperature"] == temperature]
        how = f"T = {temperature:g}" if temperature else "greedy"
        for side, words in WRITERS.items():
            columns = tuple(each.format(SHARES[side]) for each in COLUMNS)
            lines = list(_lines([row for row in mine if row["side"] == side], SHARES[side]))
            table(columns, lines, f"{title}, {how}: {words} (random: as many swaps anywhere)", right=columns)
        for row in mine:
            if row["name"] == "cross_unchanged" and row["edit"] is None:
                limits = interval(row["lo"], row["hi"])
                noise = f"{row['n']} tokens; beside a random change as large: {number(row['null'])}"
                shown(f"{how}, {row['side']}: {number(row['value'])} {limits} of tokens unchanged (n {noise})")
            if row.get("reason") and row["edit"] == "random" and row["quantile"] == 0.99:
                shown(f"{how}, {row['name']}: {row['reason']}")


def _lines(rows: Rows, share: str) -> Iterator[list[str]]:
    known = {(row["name"], row["quantile"], row["edit"]): row for row in rows}
    budgets = sorted({row["quantile"] for row in rows if row["quantile"] is not None}, reverse=True)
    for quantile in budgets:
        end, names = (
            quantile in (0.0, 1.0),
            ("cross_accuracy", "cross_code_share", "cross_swapped", f"{share}_accuracy"),
        )
        edit = None if end else "divergence"
        accuracy, code, swapped, gain = (known.get((name, quantile, edit)) for name in names)
        cells = [f"{1 - quantile:.0%}", number(swapped["value"] if swapped else 1 - quantile)]
        for each in filter(None, (accuracy, code)):
            cells += [number(each["value"]), number(each["null"])]
        if gain:
            cells += [number(gain["value"]), interval(gain["lo"], gain["hi"]), number(gain["null"]), p_value(gain["p"])]
        yield [*cells, *[""] * (len(COLUMNS) - len(cells))]
