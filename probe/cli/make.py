"""probe train, probe sample, probe score: make a checkpoint, ask it, read a text with it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from probe.cli import asking
from probe.cli.app import app
from probe.cli.names import CHECKPOINT, ManifestFile, subject
from probe.cli.options import Root, Workers, open_store
from probe.cli.show import messages, number, say, shown
from probe.errors import BadInput

Out = Annotated[Path, typer.Option("--out", help="Parquet file to write.")]


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="An organism or a run of the manifest, or NAME@STEP of a run.")],
    out: Annotated[Path | None, typer.Option("--out", help="Export an ordinary Hugging Face folder there.")] = None,
    log: Annotated[
        Literal["tensorboard", "wandb"] | None, typer.Option("--log", help="Also log a run's metrics there.")
    ] = None,
    workers: Workers = None,
    store: Root = None,
    manifest: ManifestFile = None,
) -> None:
    """Make an organism or a GRPO run of the manifest.

    Killed at any moment, the same command goes on where it was.
    """
    from probe.checkpoints.jobs import OrganismJob, RunJob
    from probe.cli.training import make_needs, make_run
    from probe.models.loading.load import save_folder

    which, held = subject(name, manifest), open_store(store)
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput("this is in the way of the export", where=str(out), do="name a new or an empty folder")
    if isinstance(which.source, RunJob):
        make_run(which.source, held, workers, log)
    elif isinstance(which.source, OrganismJob):
        make_needs(which.needs, held, workers)
    else:
        raise BadInput(
            f"{name} was made elsewhere, nothing to train", do="name an organism or a run: probe ls checkpoints"
        )
    say(f"{name} is in the store: {which.needs[0].recipe.stage} {which.needs[0].recipe.digest[:16]}")
    if out is not None:
        save_folder(which.load(held), out)
        say(f"exported to {out}")


@app.command()
def sample(
    name: Annotated[str, typer.Argument(help=CHECKPOINT)],
    problems: asking.Problems = asking.CHAIN,
    n: Annotated[int | None, typer.Option("--n", min=1, help="The first problems only [all].")] = None,
    template: asking.TemplateName = None,
    max_new: asking.MaxNew = None,
    temperature: Annotated[float, typer.Option(min=0.0, max=100.0, help="0 is greedy.")] = 1.0,
    samples: Annotated[int, typer.Option(min=1, help="Per problem.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    prefix: asking.Prefix = "",
    dtype: asking.DtypeOption = "float32",
    device_map: asking.DeviceMap = None,
    batch: asking.Batch = 64,
    devices: asking.Devices = "",
    sampler: asking.SamplerOption = "transformers",
    out: Annotated[Path | None, typer.Option("--out", help="Parquet file to write.")] = None,
    workers: Workers = None,
    store: Root = None,
    manifest: ManifestFile = None,
) -> None:
    """Ask a checkpoint problems and grade its answers."""
    from probe.cli.training import make
    from probe.rollouts.files import with_grades
    from probe.rollouts.sample_job import AskJob
    from probe.store import write_table

    if temperature == 0:
        samples = 1
    who, held = subject(name, manifest, dtype, device_map), open_store(store)
    how = asking.how(problems, n, template, max_new, prefix, who, manifest, sampler)
    made = make(AskJob(who, how, temperature, samples, seed, batch, asking.split(devices)), held, workers)
    rollouts, responses = made.read_table("rollouts.parquet"), made.read_table("responses.parquet")
    if out is not None:
        write_table(out, with_grades(rollouts, responses, how.problems.problems))
        say(f"wrote {rollouts.num_rows} responses to {out}")
    right = [outcome == "right" for outcome in responses["outcome"].to_pylist()]
    code = [strategy == "code" for strategy in responses["strategy"].to_pylist()]
    shares = f"accuracy {number(sum(right) / len(right))}, code share {number(sum(code) / len(code))}"
    asked = f"{len(how.problems.problems)} problems of {how.problems.name}"
    shown(f"{name}: {shares}, n = {len(right)} responses to {asked}")
    for row in responses.slice(0, 3).to_pylist():
        shown(f"{row['problem']} ({row['outcome']}): {row['text']}")


@app.command()
def score(
    rollouts: Annotated[Path, typer.Argument(help="Parquet file of `probe sample --out`.")],
    scorer: Annotated[str, typer.Option("--scorer", help=CHECKPOINT)],
    out: Out,
    dtype: asking.DtypeOption = "float32",
    device_map: asking.DeviceMap = None,
    workers: Workers = None,
    store: Root = None,
    manifest: ManifestFile = None,
) -> None:
    """Score a text token by token under a checkpoint.

    Log-prob, entropy, margin and rank of each token; ids are never re-tokenised.
    """
    from probe.checkpoints.jobs import one_thread
    from probe.cli.training import make_needs
    from probe.rollouts.files import read_rollouts, score_rollouts
    from probe.store import write_table

    rows, held = read_rollouts(rollouts), open_store(store)
    which = subject(scorer, manifest, dtype, device_map)
    make_needs(which.needs, held, workers)
    if which.made_here:
        one_thread()
    with messages().status(f"scoring {len(rows)} responses"):
        table = score_rollouts(rows, which.load(held), scorer, str(rollouts))
    write_table(out, table)
    say(f"wrote {table.num_rows} tokens to {out}")
