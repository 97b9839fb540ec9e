"""probe patch: where is the first token decided, which layer carries what RL gave? probe weights: how did they move?"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probe.cli import asking
from probe.cli.app import app
from probe.cli.names import CHECKPOINT, ManifestFile, subject
from probe.cli.options import FIGURES, AsJson, Dry, Figures, Root, Workers, open_store
from probe.cli.plans import announce
from probe.cli.show import emit, interval, messages, number, p_value, say, table

if TYPE_CHECKING:
    from probe.checkpoints.jobs import Job
    from probe.store import Store

Rows = Sequence[dict[str, Any]]
Before = Annotated[str, typer.Argument(help=CHECKPOINT)]
After = Annotated[str, typer.Argument(help="The same after RL.")]
Other = Annotated[str | None, typer.Option(help="Another seed's run from the same base: a null that is no noise.")]
Draws = Annotated[int, typer.Option(min=1, help="Random changes that every null draws.")]
Openings = Annotated[list[str] | None, typer.Option(help="How a response may open; repeat for more. [of the family]")]
LayersFrom = Annotated[
    Literal["fork", "accuracy"],
    typer.Option(help="accuracy: one layer's output or weights of AFTER at a time, all answered (2601.11061)."),
]
RECOVERED = ("", "recovered", "95 % interval", "n", "null", "p")
WEIGHTS = ("module", "|dW|/|W|", "stable rank", "null", "n90", "still", "null", "unchanged", "cosine")
BEST = 12  # sites shown of a comparison


@app.command("patch")
def patch(
    before: Before,
    after: After,
    layers_from_after: LayersFrom = "fork",
    problems: asking.Problems = asking.CHAIN,
    limit: asking.Limit = None,
    template: asking.TemplateName = None,
    max_new: asking.MaxNew = None,
    code: Openings = None,
    prose: Openings = None,
    heads: Annotated[bool, typer.Option(help="Patch every head too.")] = True,
    temperature: Annotated[float, typer.Option(min=0, help="With accuracy: 0 is greedy.")] = 0.0,
    samples: Annotated[int, typer.Option(min=1, help="With accuracy: responses to each problem.")] = 1,
    other: Other = None,
    draws: Draws = 20,
    dtype: asking.DtypeOption = "float32",
    device_map: asking.DeviceMap = None,
    batch: asking.Batch = 64,
    dry: Dry = False,
    workers: Workers = None,
    store: Root = None,
    figures: Figures = FIGURES,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
) -> None:
    """Find where in the model the first token is decided, and which layers carry what RL changed.

    By default the fork: how likely a response opens in code rather than prose, with a lens at every layer, activation
    and path patching (code to prose, before to after) and weights transplanted part by part. With
    --layers-from-after accuracy, BEFORE answers with one layer's output, or weights, of AFTER at a time.
    """
    from probe.experiments.patching.fork import Openings as Told
    from probe.experiments.patching.fork import openings
    from probe.experiments.patching.job import PatchJob
    from probe.experiments.patching.layers import LayersJob

    first, second, third = (
        subject(each, manifest, dtype, device_map) if each else None for each in (before, after, other)
    )
    assert first is not None
    assert second is not None
    how = asking.how(problems, limit, template, max_new, "", first, manifest)
    common: dict[str, Any] = {"how": how, "draws": draws, "other": third, "batch": batch}
    job: Job
    if layers_from_after == "accuracy":
        job = LayersJob(first, second, n=limit or 256, temperature=temperature, samples=samples, **common)
    else:
        known = openings(first)
        told = Told(tuple(code or known.code), tuple(prose or known.prose))
        kinds: tuple[Any, ...] = ("resid", "attn", "mlp", *(("head",) if heads else ()))
        job = PatchJob(first, second, n=limit or 64, kinds=kinds, openings=told, **common)
        say(f"the fork: {' | '.join(map(repr, told.code))} against {' | '.join(map(repr, told.prose))}")
    rows = _made(job, open_store(store), dry, workers, as_json)
    if rows is None:
        return
    if layers_from_after == "accuracy":
        _show_layers(rows, job.label)
    else:
        _show_fork(rows, job.label)
        _draw(rows, job, figures, "patching")


@app.command("weights")
def weights(
    before: Before,
    after: After,
    other: Other = None,
    draws: Draws = 20,
    dtype: asking.DtypeOption = "float32",
    device_map: asking.DeviceMap = None,
    dry: Dry = False,
    workers: Workers = None,
    store: Root = None,
    figures: Figures = FIGURES,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
) -> None:
    """Compare the weights of two checkpoints module by module: size, rank and sparsity, against random changes."""
    from probe.experiments.weight_difference.job import WeightsJob

    first, second, third = (
        subject(each, manifest, dtype, device_map) if each else None for each in (before, after, other)
    )
    assert first is not None
    assert second is not None
    job = WeightsJob(first, second, third, draws)
    rows = _made(job, open_store(store), dry, workers, as_json)
    if rows is not None:
        table(WEIGHTS, _weight_lines(rows), job.label, right=WEIGHTS[1:])
        _draw(rows, job, figures, "weight_change")


def _made(job: "Job", held: "Store", dry: bool, workers: int | None, as_json: bool) -> Rows | None:
    """The rows, to be shown; None where they were announced or emitted instead."""
    from probe.engine.executor import make_all
    from probe.engine.progress import Progress
    from probe.engine.runner import plan, pool_size

    todo = plan([job], held)
    if dry:
        announce(todo, held, pool_size(workers), job.label, as_json)
        return None
    with Progress(messages(), held, pool_size(workers)) as progress:
        progress.on_plan(todo)
        make_all(todo, held, workers=workers, on_done=progress.on_done)
    rows: Rows = held.get(job.recipe).read_table().to_pylist()
    if as_json:
        emit({"digest": job.recipe.digest, "measurements": rows})
        return None
    return rows


def _draw(rows: Rows, job: "Job", figures: Any, name: str) -> None:
    from probe.experiments.study import draw

    draw(list(rows), [job.recipe.digest], figures, lambda file: say(f"drew {file.with_suffix('.png')}"), (name,))


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


def _weight_lines(rows: Rows) -> Iterator[tuple[str, ...]]:
    mine = [row for row in rows if row["side"] == "change"]
    for module in dict.fromkeys(row["module"] for row in mine):
        at = {row["name"].removeprefix("weight_change/"): row for row in mine if row["module"] == module}
        cells = [at["relative"]["value"], at["stable_rank"]["value"], at["stable_rank"]["null"], at["n90"]["value"]]
        cells += [at["sparsity"]["value"], at["sparsity"]["null"], at["unchanged"]["value"]]
        yield (module, *(number(cell) for cell in cells), number(at["cosine"]["value"]) if "cosine" in at else "")
