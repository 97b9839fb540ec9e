"""What must stand under every figure of runs? How many runs, from how many bases, what the interval is, what broke."""

import math
from collections.abc import Sequence
from typing import Any

from probe.measurements import Row
from probe.plots._replicates import Mean
from probe.plots._words import span

CLEAR = (
    "rises/falls: the 95 % t interval over runs of the change from each run's own base excludes 0; "
    "not corrected for the number of comparisons."
)


def replicates(found: Sequence[Mean], noun: str = "response", rows: Sequence[Row] | None = None) -> str:
    """Runs and bases per mean; responses (or tokens) and problems of a run, read off `rows`; no noun: left out."""
    runs = [len(mean.runs) for mean in found]
    bases = [len({run.get("base_seed") for run in mean.runs}) for mean in found]
    told = f"{span(runs, 'run')} per mean, from {span(bases, 'base seed')}"
    rows = [run for mean in found for run in mean.runs] if rows is None else rows
    return f"{told}; {responses(rows, noun)}." if noun else f"{told}."


def responses(rows: Sequence[Row], noun: str = "response") -> str:
    """How much stands behind one run's number."""
    n, problems = (sorted({int(row[key]) for row in rows if row.get(key)}) for key in ("n", "n_problems"))
    if not n or not problems:
        return "n of a run not recorded"
    return f"each run: {span(n, noun)} on {span(problems, 'problem')}"


def intervals(found: Sequence[Mean], drawn: str) -> str:
    """What the interval is, and where there is none."""
    single = sum(len(mean.runs) == 1 for mean in found)
    alike = sum(len(mean.runs) > 1 and not math.isfinite(mean.lo) for mean in found)
    told = f"{drawn}: 95 % t interval over runs, taken as independent."
    if single == len(found):
        return "One run each: no interval."
    if single:
        told += f" {single} of {len(found)} means rest on one run: no interval."
    if alike:
        told += " No interval where all runs gave the same number."
    return told


def destroyed(rows: Sequence[dict[str, Any]]) -> str:
    """How many runs were destroyed, "" where none was."""
    names = ("family", "size", "base_seed", "reward", "clip", "rl_seed")
    runs = {tuple(str(row.get(name)) for name in names) for row in rows if row.get("destroyed")}
    if not runs:
        return ""
    some = "1 run was" if len(runs) == 1 else f"{len(runs)} runs were"
    return f"{some} destroyed by training (×): kept in the mean, never counted as no effect."


def join(*sentences: str) -> str:
    """The sentences that say something."""
    return " ".join(sentence for sentence in sentences if sentence)
