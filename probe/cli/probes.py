"""probe probes: what can be read off a checkpoint's residual, and did RL move it?"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli import settings
from probe.cli.experiment_command import present
from probe.cli.groups import command
from probe.cli.show import interval, number, p_value, say, shown, table

if TYPE_CHECKING:
    from probe.checkpoints.pair import Pair

Rows = Sequence[dict[str, Any]]
Key = tuple[str, str, tuple[Any, ...]]  # name, side, what varies
VARYING = ("target", "labels", "site", "probe", "group")
PROBED = ("read off", "site", "probe", "AUROC", "95 % interval", "shuffled", "selectivity", "p", "n", "problems")
TURNED = ("labels", "site", "cosine", "95 % interval", "if traded", "p", "halves before", "halves across")
TRAVELLED = ("site", "questions", "before", "after", "change", "95 % interval", "n", "p")
Sites = Annotated[str, typer.Option("--sites", help="Such as resid.3,mlp.2 [every residual].")]
Draws = Annotated[int, typer.Option(min=2, help="Shuffles of the labels, each with all its refits.")]


@command("probes", place=90)
def probes(
    name: settings.Before,
    run: settings.Asking,
    after: settings.MaybeAfter = None,
    samples: Annotated[int, typer.Option(min=2, help="Responses a question.")] = 8,
    temperature: settings.Warm = 1.0,
    sites: Sites = "",
    draws: Draws = 20,
    backend: settings.BackendName = "hooks",
) -> None:
    """Decode strategy, correctness and forks from the residual.

    Strategy is read from the last position of the question, before any token is written; every probe stands beside the
    same probe on shuffled labels. With AFTER: does the direction of code turn, or does the model go further along it?
    """
    from probe.experiments.probing.job import ProbesJob
    from probe.models.hooks.sites import site

    pair = run.pair(name, after)
    elicitation, options = run.of(pair.before, temperature=temperature, samples=samples)
    wanted = tuple(str(site(each)) for each in settings.split(sites))
    job = ProbesJob(pair, elicitation, options, wanted, draws, backend, run.compute())
    present(job, run, lambda result: _show(result.rows, pair))


def _show(rows: Rows, pair: "Pair") -> None:
    """A table a checkpoint; with two, how the direction rotated and how far the model went along it."""
    at = {(row["name"], row["side"], _which(row)): row for row in rows}
    for side, one in pair.sides.items():
        table(PROBED, list(_probed(at, side)), f"{one.name}: probes on held-out problems", right=PROBED[3:])
        shown(f"{one.name}: {_verdict(at, side)}")
    if pair.after is not None:
        table(TURNED, list(_turned(at)), f"{pair.label}: the direction of code before and after", right=TURNED[2:])
        told = f"{pair.label}: mean place along the direction before, in distances between prose and code"
        table(TRAVELLED, list(_travelled(at)), told, right=TRAVELLED[2:])
        if any(row["name"] == "projection" for row in rows) and _is_still(at):
            say("no activation changed at all: RL trained nothing before the output head")


def _which(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in VARYING)


def _probed(at: dict[Key, dict[str, Any]], side: str) -> Iterator[tuple[str, ...]]:
    for (name, here, which), row in at.items():
        if name == "probe_auroc" and here == side:
            control, beyond = (at.get((f"probe_{other}", side, which)) for other in ("control", "selectivity"))
            shuffled = interval(control["lo"], control["hi"]) if control else ""
            more = (number(beyond["value"], sign=True), p_value(beyond["p"])) if beyond else ("", "")
            counts = (str(row["n"]), str(row["n_problems"]))
            read = (row["target"], row["site"], row["probe"])
            yield (*read, number(row["value"]), interval(row["lo"], row["hi"]), shuffled, *more, *counts)


def _verdict(at: dict[Key, dict[str, Any]], side: str) -> str:
    mine = [row for (_, here, _), row in at.items() if here == side and row["target"] == "strategy"]
    found = [row for row in mine if row["name"] == "probe_auroc"]
    if not found:
        return "too few responses of one strategy to tell where strategy is decided"
    best = max(found, key=lambda row: row["value"])
    told = f"strategy is read best at {best['site']}, AUROC {number(best['value'])}"
    other = next((row for row in mine if row["name"] == "probe_same_question"), None)
    beside = f"; other responses to the same question give {number(other['value'])}" if other else ""
    return f"{told} {interval(best['lo'], best['hi'])}, before a token is written{beside}"


def _turned(at: dict[Key, dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for (name, side, which), row in at.items():
        if (name, side) == ("direction_cosine", "across"):
            halves = [at.get((name, f"halves {half}", which)) for half in ("before", "across")]
            told = [number(half["value"]) if half else "" for half in halves]
            numbers = (number(row["value"]), interval(row["lo"], row["hi"]), number(row["null"]), p_value(row["p"]))
            yield (row["labels"], row["site"], *numbers, *told)


def _travelled(at: dict[Key, dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for (name, side, which), row in at.items():
        if (name, side) == ("projection", "change"):
            ends = [number(at[name, end, which]["value"]) for end in ("before", "after")]
            moved = (number(row["value"], sign=True), interval(row["lo"], row["hi"]), str(row["n"]), p_value(row["p"]))
            yield (row["site"], row["group"], *ends, *moved)


def _is_still(at: dict[Key, dict[str, Any]]) -> bool:
    changes = [row for (name, side, _), row in at.items() if (name, side) == ("projection", "change")]
    return all(row["value"] == row["lo"] == row["hi"] == 0 for row in changes)
