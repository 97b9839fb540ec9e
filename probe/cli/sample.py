"""probe sample: ask a checkpoint problems and grade its answers."""

from pathlib import Path
from typing import Annotated

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import number, say, shown


@command("sample", place=40)
def sample(
    name: settings.Before,
    asked: settings.Asked,
    weights: settings.Weights,
    run: settings.Making,
    temperature: Annotated[float, typer.Option(min=0.0, max=100.0, help="0 is greedy.")] = 1.0,
    samples: Annotated[int, typer.Option(min=1, help="Per problem.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    prefix: settings.Prefix = "",
    batch: settings.Batch = 64,
    devices: settings.Devices = "",
    sampler: settings.SamplerOption = "transformers",
    out: Annotated[Path | None, typer.Option("--out", help="Parquet file to write.")] = None,
) -> None:
    """Ask a checkpoint problems and grade its answers."""
    from probe.cli.training import make
    from probe.experiments.responses import RESPONSES, ROLLOUTS, SampleJob
    from probe.rollouts.files import with_grades
    from probe.rollouts.options import Compute
    from probe.store import write_table

    who, compute = weights.checkpoint(name, run.manifest), Compute(batch, settings.split(devices))
    elicitation, options = asked.of(who, run, temperature, samples if temperature else 1, seed, prefix, sampler)
    made = make(SampleJob(who, elicitation, options, compute), run.held, run.workers)
    rollouts, responses = made.read_table(ROLLOUTS), made.read_table(RESPONSES)
    if out is not None:
        write_table(out, with_grades(rollouts, responses, elicitation.problems.problems))
        say(f"wrote {rollouts.num_rows} responses to {out}")
    right = [outcome == "right" for outcome in responses["outcome"].to_pylist()]
    code = [strategy == "code" for strategy in responses["strategy"].to_pylist()]
    shares = f"accuracy {number(sum(right) / len(right))}, code share {number(sum(code) / len(code))}"
    problems = f"{len(elicitation.problems.problems)} problems of {elicitation.problems.name}"
    shown(f"{name}: {shares}, n = {len(right)} responses to {problems}")
    for row in responses.slice(0, 3).to_pylist():
        shown(f"{row['problem']} ({row['outcome']}): {row['text']}")
