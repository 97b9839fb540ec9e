"""probe probes: what can be read off a checkpoint's residual, and did RL move it?"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli import asking
from probe.cli.app import app
from probe.cli.names import CHECKPOINT, ManifestFile, subject
from probe.cli.options import FIGURES, AsJson, Dry, Figures, Root, Workers, open_store
from probe.cli.plans import announce
from probe.cli.show import emit, interval, messages, number, p_value, say, shown, table

if TYPE_CHECKING:
    from probe.experiments.probing.job import ProbesJob

Rows = Sequence[dict[str, Any]]
Key = tuple[str, str, tuple[Any, ...]]  # name, side, what varies
VARYING = ("target", "labels", "site", "probe", "group")
PROBED = ("read off", "site", "probe", "AUROC", "95 % interval", "shuffled", "beyond", "p", "n", "problems")
TURNED = ("labels", "site", "cosine", "95 % interval", "if traded", "p", "halves before", "halves across")
TRAVELLED = ("site", "questions", "before", "after", "change", "95 % interval", "n", "p")
Sites = Annotated[str, typer.Option("--sites", help="Such as resid.3,mlp.2 [every residual].")]
BackendName = Annotated[str, typer.Option("--backend", help="What reads: hooks, transformer-lens or nnsight.")]
Draws = Annotated[int, typer.Option(min=2, help="Shuffles of the labels, each with all its refits.")]


@app.command("probes")
def probes(
    name: Annotated[str, typer.Argument(help=CHECKPOINT)],
    after: Annotated[str | None, typer.Argument(help="The same after RL.")] = None,
    problems: asking.Problems = asking.CHAIN,
    limit: asking.Limit = None,
    template: asking.TemplateName = None,
    max_new: asking.MaxNew = None,
    samples: Annotated[int, typer.Option(min=2, help="Responses a question.")] = 8,
    temperature: Annotated[float, typer.Option(min=0.01, max=100.0)] = 1.0,
    sites: Sites = "",
    draws: Draws = 20,
    backend: BackendName = "hooks",
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
    """Decode strategy, correctness and forks from the residual.

    Strategy is read from the last position of the question, before any token is written; every probe stands beside the
    same probe on shuffled labels. With AFTER: does the direction of code turn, or does the model go further along it?
    """
    from probe.engine.progress import Progress
    from probe.engine.runner import plan, pool_size
    from probe.experiments.probing import job as probing
    from probe.models.hooks.sites import site

    held = open_store(store)
    first, second = (subject(each, manifest, dtype, device_map) if each else None for each in (name, after))
    assert first is not None
    how = asking.how(problems, limit, template, max_new, "", first, manifest)
    wanted = tuple(str(site(each.strip())) for each in sites.split(",") if each.strip())
    job = probing.ProbesJob(first, second, how, temperature, samples, wanted, draws, backend, batch)
    if dry:
        return announce(plan([job], held), held, pool_size(workers), job.label, as_json)
    with Progress(messages(), held, pool_size(workers)) as progress:
        hear: dict[str, Any] = {"on_plan": progress.on_plan, "on_done": progress.on_done, "on_part": progress.on_part}
        rows = probing.probes(job, held, workers=workers, **hear).to_pylist()
    if as_json:
        emit({"digest": job.recipe.digest, "measurements": rows})
    else:
        _show(rows, job)
    from probe.experiments.study import draw

    drawn = ("probe_accuracy", "direction_shift")
    draw(rows, [job.recipe.digest], figures, lambda file: say(f"drew {file.with_suffix('.png')}"), drawn)


def _show(rows: Rows, job: "ProbesJob") -> None:
    """A table a checkpoint; with two, what turned and what travelled."""
    at = {(row["name"], row["side"], _which(row)): row for row in rows}
    for side, one in (("before", job.before), ("after", job.after)):
        if one is not None:
            table(PROBED, list(_probed(at, side)), f"{one.name}: probes on held-out problems", right=PROBED[3:])
            shown(f"{one.name}: {_verdict(at, side)}")
    if job.after is not None:
        title = f"{job.before.name} -> {job.after.name}"
        table(TURNED, list(_turned(at)), f"{title}: the direction of code before and after", right=TURNED[2:])
        told = f"{title}: mean place along the direction before, in distances between prose and code"
        table(TRAVELLED, list(_travelled(at)), told, right=TRAVELLED[2:])
        if any(row["name"] == "projection" for row in rows) and _is_still(at):
            say("no activation changed at all: RL trained nothing before the output head")
    say(f"kept as measurements {job.recipe.digest[:16]}")


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
