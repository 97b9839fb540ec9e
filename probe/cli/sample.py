"""probe sample: ask a checkpoint problems and grade its answers."""

from pathlib import Path
from typing import Annotated, Any

import typer

from probe.cli import settings
from probe.cli.dry_run import announce
from probe.cli.groups import command
from probe.cli.show import number, say, shown


@command("sample", place=40)
def sample(
    name: settings.Before,
    run: settings.Asked,
    dry: settings.Dry = False,
    temperature: Annotated[float, typer.Option(min=0.0, max=100.0, help="0 is greedy.")] = 1.0,
    samples: Annotated[int, typer.Option(min=1, help="Per problem.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    prefix: settings.Prefix = "",
    devices: settings.Devices = "",
    sampler: settings.SamplerOption = "transformers",
    out: settings.MaybeOut = None,
    overwrite: settings.Overwrite = False,
) -> None:
    """Ask a checkpoint problems and grade its answers."""
    from probe.cli.training import make
    from probe.experiments.responses import RESPONSES, ROLLOUTS, SampleJob
    from probe.rollouts.files import with_grades
    from probe.store.outputs import named_output

    inputs = [Path(each) for each in (name, run.problems)]
    written = None if out is None else named_output(out, inputs=inputs, overwrite=overwrite)
    who = run.checkpoint(name)
    ask: dict[str, Any] = {"temperature": temperature, "samples": samples if temperature else 1, "seed": seed}
    elicitation, options = run.of(who, prefix=prefix, sampler=sampler, **ask)
    job = SampleJob(who, elicitation, options, run.compute(devices))
    if dry:
        return announce([job], run.held, run.workers, job.label, as_json=False)
    made = make(job, run.held, run.workers)
    rollouts, responses = made.read_table(ROLLOUTS), made.read_table(RESPONSES)
    if written is not None:
        written.write_table(with_grades(rollouts, responses, elicitation.problems.problems))
        say(f"wrote {rollouts.num_rows} responses to {out}")
    right = [outcome == "right" for outcome in responses["outcome"].to_pylist()]
    code = [strategy == "code" for strategy in responses["strategy"].to_pylist()]
    shares = f"accuracy {number(sum(right) / len(right))}, code share {number(sum(code) / len(code))}"
    problems = f"{len(elicitation.problems.problems)} problems of {elicitation.problems.name}"
    shown(f"{name}: {shares}, n = {len(right)} responses to {problems}")
    for row in responses.slice(0, 3).to_pylist():
        shown(f"{row['problem']} ({row['outcome']}): {row['text']}")
