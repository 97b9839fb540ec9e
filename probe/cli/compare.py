"""probe compare: what is different between two checkpoints."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli import asking
from probe.cli.app import app
from probe.cli.changes import changes, show_cells, show_changes
from probe.cli.names import CHECKPOINT, ManifestFile, subject
from probe.cli.options import AsJson, Dry, Root, Workers, open_store
from probe.cli.plans import announce
from probe.cli.show import emit, messages, say, table

if TYPE_CHECKING:
    from probe.experiments.compare.job import CompareJob


@app.command()
def compare(
    before: Annotated[str, typer.Argument(help=CHECKPOINT)],
    after: Annotated[str, typer.Argument(help=CHECKPOINT)],
    problems: asking.Problems = asking.CHAIN,
    limit: asking.Limit = None,
    template: asking.TemplateName = None,
    prompts: asking.Prompts = None,
    max_new: asking.MaxNew = None,
    samples: Annotated[int, typer.Option(min=1, help="Per problem, at --temperature; one greedy comes with them.")] = 8,
    temperature: Annotated[float, typer.Option(min=0.01, max=100.0, help="Of what is not greedy.")] = 1.0,
    prefix: asking.Prefix = "",
    dtype: asking.DtypeOption = "float32",
    device_map: asking.DeviceMap = None,
    batch: asking.Batch = 64,
    devices: asking.Devices = "",
    sampler: asking.SamplerOption = "transformers",
    dry: Dry = False,
    workers: Workers = None,
    store: Root = None,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
) -> None:
    """Measure everything that differs between two models.

    Both answer the same problems, sampled and greedy; the text of the second is scored under both. The base is also
    asked under other prompts: what a better prompt gives was not given by RL. A checkpoint against itself is the null
    pair: sampled twice, nothing should change.
    """
    from probe.engine.progress import Progress
    from probe.engine.runner import plan, pool_size
    from probe.experiments.compare import job as pair

    held = open_store(store)
    first, second = (subject(name, manifest, dtype, device_map) for name in (before, after))
    how = asking.how(problems, limit, template, max_new, prefix, first, manifest, sampler)
    tried = asking.other_prompts(prompts, how, first, manifest)
    job = pair.CompareJob(first, second, how, temperature, samples, tried, batch, asking.split(devices))
    if dry and not (first.made_here or second.made_here):
        return _budget(job, f"{before} -> {after}", as_json)
    if dry:
        return announce(plan([job], held), held, pool_size(workers), f"{before} -> {after}", as_json)
    with Progress(messages(), held, pool_size(workers)) as progress:
        found = pair.compare(
            first,
            second,
            held,
            how=how,
            temperature=temperature,
            samples=samples,
            prompts=tried,
            batch=batch,
            devices=asking.split(devices),
            workers=workers,
            on_plan=progress.on_plan,
            on_done=progress.on_done,
            on_part=progress.on_part,
        )
        rows = found.to_pylist()
    if as_json:
        return emit({"digest": job.recipe.digest, "changes": changes(rows), "measurements": rows})
    _show(rows, job)


def _show(rows: list[dict[str, Any]], job: "CompareJob") -> None:
    """Two tables a temperature and one of the base's prompts; Holm's family is every tested row of all."""
    found = changes(rows)
    pair, leak = f"{job.before.name} -> {job.after.name}", job.how.problems.leak
    asked = f"{job.how.problems.name} ({leak}), template {job.how.template}"
    for temperature in (job.temperature, 0.0):
        sampled = f"T = {temperature:g}" if temperature else "greedy"
        how = f"{pair}, {asked}, {sampled}{' (null pair)' if job.is_null else ''}"
        direct = [row for row in found if row["temperature"] == temperature and row["reward"] == job.after.name]
        show_changes(direct, how)
        cells = [row for row in rows if row["temperature"] == temperature and row["reward"] == job.after.name]
        show_cells(cells, f"{how}: responses")
    for reward in dict.fromkeys(row["reward"] for row in found if row["reward"] != job.after.name):
        over = f"{job.before.name} under its best prompt -> {job.after.name}"
        under = f"{job.before.name}: template {job.how.template} -> {reward}"
        title = over if reward.startswith(job.after.name) else under
        show_changes([row for row in found if row["reward"] == reward], f"{title}, {job.how.problems.name}, greedy")
    if any(row["destroyed"] for row in rows if row["reward"] == job.after.name):
        say(f"{job.after.name} is destroyed (answers no longer parse, or got worse within a strategy): no 'no effect'")
    for one in (job.before, job.after):
        for warning in one.entry.warnings if one.entry else ():
            say(f"{one.name}: {warning}")
    say(f"kept as measurements {job.recipe.digest[:16]}")


def _budget(job: "CompareJob", title: str, as_json: bool) -> None:
    """Memory and GPU-hours, at most."""
    from probe.experiments.budget import budget

    found, n = budget(job), len(job.how.problems.problems)
    if as_json:
        told = {name: getattr(found, name) for name in ("weights", "cache", "memory", "hours")}
        return emit({"of": title, "problems": n, "dtype": job.before.dtype, **told})
    rows = [
        ("weights of both", f"{found.weights / 1e9:.1f} GB"),
        (f"cache of {job.batch} rows", f"{found.cache / 1e9:.1f} GB"),
        ("at the peak, one GPU", f"{found.memory / 1e9:.1f} GB"),
        ("sampling", f"{found.sampling_hours:.1f} GPU-hours"),
        ("scoring", f"{found.scoring_hours:.1f} GPU-hours"),
    ]
    what = f"{n} problems, {job.samples} samples and greedy, {len(job.prompts)} other prompts, {job.before.dtype}"
    table(("what", "at most"), rows, f"{title}: {what}", right=("at most",))
    say("an upper bound: every response is taken to run to --max-new; hours are those of one H100 with transformers")
