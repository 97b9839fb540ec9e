"""probe dictionary neuronpedia: features and vectors as the files that Neuronpedia imports."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli import settings
from probe.cli.dictionary import dictionary, job_of
from probe.cli.fitting import Answers, Fitting, SiteName
from probe.cli.groups import unfolded
from probe.cli.next_steps import Telling
from probe.cli.show import emit, messages, say, shown
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.experiments.dictionaries.fit_job import DictionaryJob

Ids = Annotated[
    list[str] | None,
    typer.Option("--model-id", help="Neuronpedia's id of the model, one a model [of its name]."),
]


@dictionary.command("neuronpedia", cls=Telling)
@unfolded
def neuronpedia(
    name: settings.Before,
    run: settings.Asking,
    fitting: Fitting,
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    after: settings.MaybeAfter = None,
    site: SiteName = None,
    samples: Answers = 4,
    temperature: settings.Warm = 1.0,
    model_id: Ids = None,
    creator: Annotated[str | None, typer.Option("--creator-id", help="Whose they are in that Neuronpedia.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder that was exported there.")] = False,
) -> None:
    """Write a dictionary's features and vectors as the files that Neuronpedia imports and its API takes.

    The dictionary is that of `probe dictionary fit` with the same options, and is fitted if it is not there. A pair's
    has a folder a model: the same latents, each with its own direction and logits. Nothing is sent anywhere.
    """
    from datetime import UTC, datetime

    from probe.cli.dry_run import announce
    from probe.dictionaries.exchange.neuronpedia import CREATOR
    from probe.engine.executor import make
    from probe.engine.pool import pool_size
    from probe.engine.progress import Progress
    from probe.experiments.dictionaries.exported import ABOUT, export_neuronpedia
    from probe.store.folders import check_free, whole_folder

    job = job_of(run, fitting, name, after, site, samples, temperature, "probe")
    store, workers = run.held, run.workers
    if run.dry:
        return announce([job, *job.readings], store, workers, job.label, run.as_json)
    names = _names(job, model_id)
    check_free(out, overwrite=overwrite, shows=ABOUT)
    with Progress(messages(), store, pool_size(workers)) as progress:
        make([job, *job.readings], store, workers=workers, listener=progress)
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    with whole_folder(out, overwrite=overwrite, shows=ABOUT) as folder:
        told = export_neuronpedia(job, store, names, folder, now, creator or CREATOR)
    if run.as_json:
        return emit({"folder": str(out), **told})
    texts, vectors = (f"{told[what]} {what}" for what in ("activations", "vectors"))
    shown(f"{told['latents']} latents of {len(names)} models, {texts}, {vectors}: {out}")
    return say("nothing was sent: import the folders, and send the lines of vectors.jsonl to POST /api/vector/new")


def _names(job: "DictionaryJob", given: list[str] | None) -> list[str]:
    """An id a model: letters, digits, - and _."""
    found = given or [re.sub(r"[^A-Za-z0-9_-]+", "-", each.checkpoint.name).strip("-")[-128:] for each in job.readings]
    if len(found) != len(job.models) or len(set(found)) < len(found):
        do = "give --model-id once a model, each another"
        raise BadInput(f"{len(found)} ids for {len(job.models)} models", where="--model-id", do=do)
    return found
