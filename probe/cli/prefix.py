"""probe prefix: what changes when the first words are put into the model's mouth."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli import settings
from probe.cli.changes import changes, show_changes
from probe.cli.experiment_command import present
from probe.cli.groups import command

if TYPE_CHECKING:
    from probe.experiments.forced_prefix.job import PrefixJob
    from probe.experiments.result import Result

Words = Annotated[
    str | None, typer.Option("--prefix", help="The words [organisms: how their code opens; else the Python sentence].")
]


@command("prefix", place=70)
def prefix(
    name: settings.Before,
    run: settings.Asking,
    words: Words = None,
    samples: settings.Samples = 8,
    temperature: settings.Warm = 1.0,
) -> None:
    """Force the first words of every response.

    The same checkpoint answers the same problems with the same draws, without and with the words ("Let's solve this
    using Python."). Response = words + completion, graded as a whole: what would the other strategy have given?
    """
    from probe.experiments.forced_prefix.job import PrefixJob, prefix_for

    one = run.checkpoint(name)
    elicitation, options = run.of(one, temperature=temperature, samples=samples)
    job = PrefixJob(one, elicitation, prefix_for(one, words), options, run.compute())
    title = f"{name}: forced {job.prefix!r}"

    def summary(result: "Result") -> dict[str, Any]:
        return {"prefix": job.prefix, "changes": changes(result.rows)}

    present(job, run, lambda result: _show(result, job, title), title=title, summary=summary)


def _show(result: "Result", job: "PrefixJob", title: str) -> None:
    found, asked = changes(result.rows), job.elicitation
    for temperature in (job.options.temperature, 0.0):
        sampled = f"T = {temperature:g}" if temperature else "greedy"
        about = f"{asked.problems.name}, template {asked.template}, {sampled} (before: without the words)"
        show_changes([row for row in found if row["temperature"] == temperature], f"{title}, {about}")
