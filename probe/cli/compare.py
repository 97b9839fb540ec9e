"""probe compare: what is different between two checkpoints."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli import settings
from probe.cli.changes import changes, show_cells, show_changes
from probe.cli.experiment_command import present
from probe.cli.groups import command
from probe.cli.show import say, shown

if TYPE_CHECKING:
    from probe.experiments.compare.job import CompareJob
    from probe.experiments.result import Result

Prompts = Annotated[
    str | None,
    typer.Option(help="Templates the base is also tried under: names with commas, all, or none [all; chain: none]."),
]


@command("compare", place=60)
def compare(
    before: settings.Before,
    after: Annotated[str, typer.Argument(help=settings.CHECKPOINT)],
    run: settings.Asking,
    prompts: Prompts = None,
    samples: settings.Samples = 8,
    temperature: settings.Warm = 1.0,
    prefix: settings.Prefix = "",
    devices: settings.Devices = "",
    sampler: settings.SamplerOption = "transformers",
) -> None:
    """Measure everything that differs between two models.

    Both answer the same problems, sampled and greedy; the text of the second is scored under both. The base is also
    asked under other prompts: what a better prompt gives was not given by RL. A checkpoint against itself is the null
    pair: sampled twice, nothing should change.
    """
    from probe.experiments.compare.job import CompareJob

    pair = run.pair(before, after)
    elicitation, options = run.of(pair.before, temperature=temperature, samples=samples, prefix=prefix, sampler=sampler)
    tried = settings.other_prompts(prompts, elicitation, pair.before, run.manifest)
    job = CompareJob(pair, elicitation, options, tried, run.compute(devices))
    size = f"{len(elicitation.problems.problems)} problems, {samples} samples and greedy, {len(tried)} other prompts"
    title = f"{before} -> {after}: {size}, {run.dtype}"
    present(job, run, lambda result: _show(result, job), title=title, summary=_changes)


def _changes(result: "Result") -> dict[str, Any]:
    return {"changes": changes(result.rows)}


def _show(result: "Result", job: "CompareJob") -> None:
    """Two tables a temperature and one of the base's prompts; Holm's family is every tested row of all."""
    from probe.experiments.change_sentence import sentence

    rows, found, pair, asked = result.rows, changes(result.rows), job.pair, job.elicitation
    after = pair.trained.name
    about = f"{pair.label}, {asked.problems.name} ({asked.problems.leak}), template {asked.template}"
    for temperature in (job.options.temperature, 0.0):
        sampled = f"T = {temperature:g}" if temperature else "greedy"
        title = f"{about}, {sampled}{' (null pair)' if pair.is_null else ''}"
        show_changes([r for r in found if r["temperature"] == temperature and r["reward"] == after], title)
        cells = [r for r in rows if r["temperature"] == temperature and r["reward"] == after]
        show_cells(cells, title)
    for reward in dict.fromkeys(row["reward"] for row in found if row["reward"] != after):
        over = f"{pair.before.name} under its best prompt -> {after}"
        under = f"{pair.before.name}: template {asked.template} -> {reward}"
        title = over if reward.startswith(after) else under
        show_changes([row for row in found if row["reward"] == reward], f"{title}, {asked.problems.name}, greedy")
    for temperature in (job.options.temperature, 0.0):
        mine = [r for r in found if r["temperature"] == temperature and r["reward"] == after]
        at = f"T = {temperature:g}" if temperature else "greedy"
        shown(f"{pair.label}, {at}: {sentence(mine, null_pair=pair.is_null)}")
    if any(row["destroyed"] for row in rows if row["reward"] == after):
        say(f"{after} is destroyed (answers no longer parse, or got worse within a strategy): no 'no effect'")
    for one in pair.sides.values():
        for warning in one.entry.warnings if one.entry else ():
            say(f"{one.name}: {warning}")
