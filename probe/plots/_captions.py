"""What stands under every figure? One sentence: what is drawn, how many, what the interval is, and the null.

What a mark is stands in the legend, what was found in the title.
"""

import math
from collections.abc import Sequence
from typing import Any

from probe.measurements import Row
from probe.plots._replicates import Mean, runs_of
from probe.plots._words import sentence, span

PROBLEMS = "bars: 95 % interval clustered by problem"
CORRECTED = "titles say what survives Holm"


def caption(drawn: str, n: str, interval: str, null: str, *more: str) -> str:
    """The sentence, of the parts that say something; "no null" where `null` is empty."""
    parts = (drawn, n, interval, f"null: {null}" if null else "no null", *more)
    return sentence("; ".join(part for part in parts if part)) + "."


def of_runs(
    what: str, means: Sequence[Mean], bars: str, null: str, *more: str, noun: str = "response", rows: Sequence[Row] = ()
) -> str:
    """The caption of means over runs; `rows` are those that n is read off, where not those of the means."""
    text = (what, replicates(means, noun, rows), intervals(means, bars), null)
    return caption(*text, *more, destroyed(rows or runs_of(means)))


def replicates(means: Sequence[Mean], noun: str = "response", rows: Sequence[Row] = ()) -> str:
    """Runs and bases per mean; responses (or tokens) and problems of a run, read off `rows`; no noun: left out."""
    runs = span([len(mean.runs) for mean in means], "run")
    bases = span([len({run.get("base_seed") for run in mean.runs}) for mean in means], "base seed")
    text, rows = f"means of {runs} from {bases}", rows or runs_of(means)
    n, problems = counts(rows, "n"), counts(rows, "n_problems")
    each = f"each {span(n, noun)} on {span(problems, 'problem')}" if n and problems else "n of a run not recorded"
    return f"{text}, {each}" if noun else text


def counts(rows: Sequence[Row], column: str) -> list[int]:
    """The distinct sizes of samples that are recorded."""
    return sorted({int(row[column]) for row in rows if row.get(column)})


def intervals(means: Sequence[Mean], drawn: str) -> str:
    """What the interval is, and where there is none."""
    single = sum(len(mean.replicates) == 1 for mean in means)
    if single == len(means):
        return "one run each: no interval"
    alike = any(len(mean.replicates) > 1 and not math.isfinite(mean.lo) for mean in means)
    missing = [f"none for {single} of {len(means)} means, of one run"] if single else []
    missing += ["none where all agree"] if alike else []
    over = "bases" if any(mean.n_bases > 1 for mean in means) else "runs of one base"
    return f"{drawn}: 95 % t interval over {over}" + (f" ({', '.join(missing)})" if missing else "")


def replicated(table: Sequence[Row], drawn: str) -> str:
    """The same of a table of `_pairs.in_table`, whose intervals are over base seeds, runs of one base, or problems."""
    means = [row for row in table if row.get("n_runs") and row["mark"] not in ("null", "same question")]
    several = [row["n_runs"] for row in means if row["n_runs"] > 1]
    if not several:
        return f"{drawn}: 95 % interval over problems"
    alone = len(means) - len(several)
    seeds = {row.get("base_seed") for row in table if row["mark"] == "run" or row.get("n_runs") == 1}
    unit = "base seed" if len(seeds) > 1 else "run"
    missing = [f"over problems for {alone} of {len(means)}, of one {unit}"] if alone else []
    alike = any(row["n_runs"] > 1 and not math.isfinite(row["lo"]) for row in means)
    missing += ["none where all agree"] if alike else []
    text = f"{drawn}: mean over {span(several, unit)}, 95 % t interval over {unit}s"
    return text + (f" ({', '.join(missing)})" if missing else "")


def destroyed(rows: Sequence[dict[str, Any]]) -> str:
    """How many runs were destroyed, "" where none was."""
    names = ("family", "size", "base_seed", "reward", "clip", "rl_seed")
    runs = {tuple(str(row.get(name)) for name in names) for row in rows if row.get("destroyed")}
    return f"{span([len(runs)], 'destroyed run')} kept (×)" if runs else ""


def not_drawn(missing: int, noun: str = "pair") -> str:
    """What was measured and found no room, "" where everything did."""
    return f"measured and not drawn: {span([missing], noun)} more" if missing else ""
