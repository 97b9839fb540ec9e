"""probe patch: where is the first token decided, and which layer carries what RL gave?"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import typer

from probe.cli import settings
from probe.cli.experiment_command import present
from probe.cli.groups import command
from probe.cli.show import interval, number, p_value, say, table

Rows = Sequence[dict[str, Any]]
Draws = Annotated[int, typer.Option(min=1, help="Random changes that every null draws.")]
Openings = Annotated[list[str] | None, typer.Option(help="How a response may open; repeat for more. [of the family]")]
LayersFrom = Annotated[
    Literal["fork", "accuracy"],
    typer.Option(help="accuracy: one layer's output or weights of AFTER at a time, all answered (2601.11061)."),
]
RECOVERED = ("", "recovered", "95 % interval", "n", "null", "p")
BEST = 12  # sites shown of a comparison


@command("patch", place=110)
def patch(
    before: settings.Before,
    after: settings.After,
    run: settings.Asking,
    layers_from_after: LayersFrom = "fork",
    code: Openings = None,
    prose: Openings = None,
    heads: Annotated[bool, typer.Option(help="Patch every head too.")] = True,
    temperature: Annotated[float, typer.Option(min=0, help="With accuracy: 0 is greedy.")] = 0.0,
    samples: Annotated[int, typer.Option(min=1, help="With accuracy: responses to each problem.")] = 1,
    other: settings.Other = None,
    draws: Draws = 20,
) -> None:
    """Find where in the model the first token is decided, and which layers carry what RL changed.

    By default the fork: how likely a response opens in code rather than prose, with a lens at every layer, activation
    and path patching (code to prose, before to after) and weights transplanted part by part. With
    --layers-from-after accuracy, BEFORE answers with one layer's output, or weights, of AFTER at a time.
    """
    from probe.experiments.patching.fork import Openings as Fork
    from probe.experiments.patching.fork import openings
    from probe.experiments.patching.job import PatchJob
    from probe.experiments.patching.layers import LayersJob
    from probe.models.hooks.sites import KINDS

    pair, compute = run.pair(before, after, other), run.compute()
    elicitation, options = run.of(pair.before, temperature=temperature, samples=samples)
    if layers_from_after == "accuracy":
        layers = LayersJob(pair, elicitation, options, run.limit or 256, draws, compute)
        return present(layers, run, lambda result: _show_layers(result.rows, layers.label))
    known = openings(pair.before)
    fork = Fork(tuple(code or known.code), tuple(prose or known.prose))
    say(f"the fork: {' | '.join(map(repr, fork.code))} against {' | '.join(map(repr, fork.prose))}")
    kinds = tuple(kind for kind in KINDS if heads or kind != "head")
    job = PatchJob(pair, elicitation, run.limit or 64, kinds, draws=draws, openings=fork, compute=compute)
    present(job, run, lambda result: _show_fork(result.rows, job.label))


def _show_fork(rows: Rows, title: str) -> None:
    lens = [row for row in rows if row["name"] == "lens/fork"]
    lines = [
        (row["side"], row["site"], number(row["value"], sign=True), interval(row["lo"], row["hi"])) for row in lens
    ]
    table(("side", "layer", "log-odds", "95 % interval"), lines, f"{title}: lens at the fork", right=("log-odds",))
    for what, told in (("patch", "patched"), ("path", "direct effects"), ("transplant", "weights transplanted")):
        for side in ("before", "after", "change"):
            mine = [row for row in rows if row["side"] == side and str(row["name"]).startswith(f"{what}/")]
            _show(mine, f"{what}/", f"{title}: {told}, {SIDES[side]}", BEST if what == "patch" else None)


SIDES = {"before": "code <-> prose in before", "after": "code <-> prose in after", "change": "before -> after"}


def _show_layers(rows: Rows, title: str) -> None:
    for what in ("output", "weights"):
        for metric in ("accuracy", "code_share"):
            name = f"{what}_{metric}/"
            mine = [row for row in rows if str(row["name"]).startswith(name)]
            for group in (None, "leaked", "others"):
                here = [row for row in mine if row["group"] == group]
                _show(here, name, f"{title}: {metric}{f' on {group} items' if group else ''}, {what}", None)


def _show(rows: Rows, name: str, title: str, most: int | None) -> None:
    """One table; where nothing can be recovered, why."""
    found = [row for row in rows if row["name"] == f"{name}recovery"]
    for gap in (row for row in rows if row["name"] == f"{name}gap"):
        size = f"gap {number(gap['value'], sign=True)} {interval(gap['lo'], gap['hi'])}, n {gap['n']}"
        why = f": {gap['reason']}" if gap["reason"] else ""
        say(f"{title}: {size}{why}")
    defined = [row for row in found if row["value"] == row["value"]]
    chosen = sorted(defined, key=lambda row: -abs(row["value"]))[:most] if most else defined
    if chosen:
        table(RECOVERED, _lines(chosen), title if not most else f"{title} (the {most} largest)", right=RECOVERED[1:])


def _lines(rows: Rows) -> Iterator[tuple[str, ...]]:
    from probe.measurements import label

    for row in rows:
        numbers = (number(row["value"], sign=True), interval(row["lo"], row["hi"]), str(row["n"]))
        yield (label(row), *numbers, number(row["null"], sign=True), p_value(row["p"]))
