"""probe inspect: answers as logs that `inspect view` opens."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probe.cli import settings
from probe.cli.compare_rollouts import meant
from probe.cli.dry_run import announce
from probe.cli.groups import command
from probe.cli.show import emit, say
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.experiments.inspect_logs import InspectLog
    from probe.experiments.published_outputs.job import PublishedJob
    from probe.experiments.responses import SampleJob

WHAT = f"{settings.CHECKPOINT} Or outputs: a published data set, or the file BEFORE."


@command("inspect", place=42)
def inspect(
    before: Annotated[str, typer.Argument(help=WHAT)],
    run: settings.Asked,
    out: Annotated[Path, typer.Option("--out", help="Folder of the logs: inspect view --log-dir OUT.")],
    after: settings.MaybeAfter = None,
    temperature: Annotated[float, typer.Option(min=0.0, max=100.0, help="0 is greedy.")] = 1.0,
    samples: Annotated[int, typer.Option(min=1, help="Per problem.")] = 8,
    prefix: settings.Prefix = "",
    devices: settings.Devices = "",
    sampler: settings.SamplerOption = "transformers",
    grading: settings.Labels = None,
    kind: Annotated[
        Literal["eval", "json"], typer.Option("--format", help="eval: packed, opened fast; json: as text.")
    ] = "eval",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace logs of the same names.")] = False,
    dry: settings.Dry = False,
    as_json: settings.AsJson = False,
) -> None:
    """Write answers as Inspect logs, one a checkpoint or system.

    Input, response, gold answer, verdict with the answer that was read, strategy, tokens, cut off, leaked; totals with
    errors clustered by problem. What `probe compare` sampled under the same options is read, what is missing is made.
    `inspect view` (pip install "rlvr-probe[inspect]", in an environment of its own) shows them.
    """
    from probe.experiments.inspect_logs import file_names, logs_of_checkpoints, logs_of_outputs

    whole = kind == "json"
    outputs = _outputs(before, after, grading, run)
    if outputs is not None:
        if dry:
            return announce([outputs.source], run.held, run.workers, outputs.source.label, as_json)
        _make([outputs.source], run)
        logs = list(logs_of_outputs(outputs, run.held))
        return _write(logs, file_names([log.name for log in logs], whole=whole), out, whole, overwrite, as_json)
    options = {"temperature": temperature, "samples": samples if temperature else 1, "prefix": prefix}
    jobs = _asked(before, after, run, devices, sampler=sampler, **options)
    if dry:
        return announce(jobs, run.held, run.workers, " and ".join(job.label for job in jobs), as_json)
    names = file_names([job.checkpoint.name for job in jobs], whole=whole)
    _free(names, out, overwrite)
    _make(jobs, run)
    _write(list(logs_of_checkpoints(jobs, run.held)), names, out, whole, overwrite, as_json)


def _outputs(before: str, after: str | None, grading: Any, run: settings.Asked) -> "PublishedJob | None":
    """The outputs meant: files, or a published data set; None, where checkpoints are meant."""
    from probe.experiments.published_outputs.job import published_job
    from probe.models.loading.manifest import load_manifest

    first = Path(before)
    if after is not None:
        both = first.is_file() and Path(after).is_file()
        return published_job([first, Path(after)], grading) if both else None
    if before in load_manifest().datasets or any(first.glob("data-*.arrow")):
        return published_job([meant(first, run.held.root)], grading)
    if first.is_file():
        do = f"probe import-rollouts {first} --to inspect --out FILE.eval"
        raise BadInput("one file becomes one log", where=before, do=do)
    return None


def _asked(before: str, after: str | None, run: settings.Asked, devices: str, **ask: Any) -> "list[SampleJob]":
    """What `probe compare` samples of the pair, or the same of one checkpoint."""
    from probe.experiments.compare.job import CompareJob
    from probe.experiments.responses import SampleJob

    if after is None:
        who = run.checkpoint(before)
        elicitation, options = run.of(who, **ask)
        return [SampleJob(who, elicitation, options, run.compute(devices))]
    pair = run.pair(before, after)
    elicitation, options = run.of(pair.before, **ask)
    return list(CompareJob(pair, elicitation, options, (), run.compute(devices)).sampled[:2])  # type: ignore[arg-type]


def _make(jobs: Any, run: settings.Asked) -> None:
    from probe.cli.training import make_needs

    make_needs(jobs, run.held, run.workers)


def _free(names: list[str], out: Path, overwrite: bool) -> None:
    """Before any work: BadInput where a log could not be written."""
    from probe.store.outputs import named_output

    if out.is_dir():
        for name in names:
            named_output(out / name, overwrite=overwrite)
    elif out.exists():
        raise BadInput("this is in the way of the logs", where=str(out), do="name a folder")


def _write(logs: "list[InspectLog]", names: list[str], out: Path, whole: bool, overwrite: bool, as_json: bool) -> None:
    """All logs, and where they are."""
    from probe.store.files import disk_errors
    from probe.store.outputs import named_output

    _free(names, out, overwrite)
    with disk_errors(out.parent):
        out.mkdir(parents=True, exist_ok=True)
    told = []
    for log, name in zip(logs, names, strict=True):
        named_output(out / name, overwrite=overwrite).write(lambda file, log=log: log.write(file, whole=whole))  # type: ignore[misc]
        told.append({"log": str(out / name), "of": log.name, "responses": len(log.rows)})
    if as_json:
        return emit(told)
    for each in told:
        say(f"wrote {each['responses']} responses of {each['of']} to {each['log']}")
