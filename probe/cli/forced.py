"""probe prefix: what changes when the first words are put into the model's mouth."""

from typing import Annotated, Any

import typer

from probe.cli import asking
from probe.cli.app import app
from probe.cli.changes import changes, show_changes
from probe.cli.names import CHECKPOINT, ManifestFile, subject
from probe.cli.options import AsJson, Dry, Root, Workers, open_store
from probe.cli.plans import announce
from probe.cli.show import emit, messages, say

Words = Annotated[
    str | None, typer.Option("--prefix", help="The words [organisms: how their code opens; else the Python sentence].")
]


@app.command("prefix")
def prefix(
    name: Annotated[str, typer.Argument(help=CHECKPOINT)],
    words: Words = None,
    problems: asking.Problems = asking.CHAIN,
    limit: asking.Limit = None,
    template: asking.TemplateName = None,
    max_new: asking.MaxNew = None,
    samples: Annotated[int, typer.Option(min=1, help="Per problem, at --temperature; one greedy comes with them.")] = 8,
    temperature: Annotated[float, typer.Option(min=0.01, max=100.0, help="Of what is not greedy.")] = 1.0,
    dtype: asking.DtypeOption = "float32",
    device_map: asking.DeviceMap = None,
    batch: asking.Batch = 64,
    dry: Dry = False,
    workers: Workers = None,
    store: Root = None,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
) -> None:
    """Force the first words of every response.

    The same checkpoint answers the same problems with the same draws, without and with the words ("Let's solve this
    using Python."). Response = words + completion, graded as a whole: what would the other strategy have given?
    """
    from probe.engine.progress import Progress
    from probe.engine.runner import plan, pool_size
    from probe.experiments.forced_prefix import job as forced

    held, one = open_store(store), subject(name, manifest, dtype, device_map)
    how = asking.how(problems, limit, template, max_new, "", one, manifest)
    job = forced.PrefixJob(one, how, forced.prefix_for(one, words), temperature, samples, batch)
    title = f"{name}: forced {job.prefix!r}"
    if dry:
        return announce(plan([job], held), held, pool_size(workers), title, as_json)
    with Progress(messages(), held, pool_size(workers)) as progress:
        hear: dict[str, Any] = {"on_plan": progress.on_plan, "on_done": progress.on_done, "on_part": progress.on_part}
        rows = forced.force(job, held, workers=workers, **hear).to_pylist()
    found = changes(rows)
    if as_json:
        return emit({"digest": job.recipe.digest, "prefix": job.prefix, "changes": found, "measurements": rows})
    for at in (temperature, 0.0):
        sampled = f"T = {at:g}" if at else "greedy"
        shown = [row for row in found if row["temperature"] == at]
        show_changes(shown, f"{title}, {problems}, template {how.template}, {sampled} (before: without the words)")
    say(f"kept as measurements {job.recipe.digest[:16]}")
