"""probe dictionary: fit one to a checkpoint or a pair; show one, whoever made it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probe.cli import settings
from probe.cli.app import app, places
from probe.cli.fitting import Answers, Fitting, SiteName
from probe.cli.groups import unfolded
from probe.cli.next_steps import Telling
from probe.cli.show import emit, messages, number, say, table
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.dictionaries.dictionary import Dictionary
    from probe.dictionaries.exchange.folder import Kept
    from probe.experiments.dictionaries.fit_job import DictionaryJob

SHOWN = ("", "value")

dictionary = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(dictionary, name="dictionary", help="Sparse dictionaries: fit one, or show what one is.")
places["dictionary"] = 104


@dictionary.command("fit", cls=Telling)
@unfolded
def fit(
    name: settings.Before,
    run: settings.Asking,
    fitting: Fitting,
    after: settings.MaybeAfter = None,
    site: SiteName = None,
    samples: Answers = 4,
    temperature: settings.Warm = 1.0,
    trainer: Annotated[Literal["probe", "saelens"], typer.Option("--trainer", help="Who fits it.")] = "probe",
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write it to.")] = None,
    saelens: Annotated[bool, typer.Option("--saelens", help="As SAELens' files, a folder a model, instead.")] = False,
) -> None:
    """Fit a dictionary to what a checkpoint holds over its answers; with AFTER, one of both over the answers of both.

    Killed, the same command goes on from the last state that was kept.
    """
    from probe.cli.dry_run import announce
    from probe.dictionaries.exchange.folder import read_dictionary
    from probe.engine.executor import make
    from probe.engine.pool import pool_size
    from probe.engine.progress import Progress

    if saelens and out is None:
        raise BadInput("no folder to write to", where="--saelens", do="give --out FOLDER")
    job = job_of(run, fitting, name, after, site, samples, temperature, trainer)
    store, workers = run.held, run.workers
    if run.dry:
        return announce([job], store, workers, job.label, run.as_json)
    with Progress(messages(), store, pool_size(workers)) as progress:
        make([job], store, workers=workers, listener=progress)
    made = store.get(job.recipe)
    kept = read_dictionary(made.path)
    if out is not None:
        _write(kept, out, saelens)
    about = _about(kept.dictionary) | _health(made.path)
    emit(about) if run.as_json else table(SHOWN, _lines(about), job.label, right=SHOWN[1:])
    return say(f"kept as dictionary {made.digest[:16]}, in {made.path}")


@dictionary.command("show", cls=Telling)
def show(
    name: Annotated[str, typer.Argument(help="A folder or file of ours, SAELens', Qwen-Scope's; RELEASE/ID.")],
    out: Annotated[Path | None, typer.Option("--saelens", help="Write each of its models as SAELens' folder.")] = None,
    as_json: settings.AsJson = False,
) -> None:
    """Show what a dictionary is: of which models, where, how many latents; write it for SAELens."""
    from probe.dictionaries.exchange.by_name import dictionary_named

    found = dictionary_named(name)
    if out is not None:
        _write_saelens(found, out)
    about = _about(found)
    emit(about) if as_json else table(SHOWN, _lines(about), name, right=SHOWN[1:])


def job_of(
    run: settings.Asking,
    fitting: Fitting,
    name: str,
    after: str | None,
    site: str | None,
    samples: int,
    warm: float,
    trainer: Literal["probe", "saelens"],
) -> "DictionaryJob":
    """The dictionary meant: of a checkpoint, or of both of a pair. BadInput for a pair and SAELens' trainer."""
    from probe.experiments.dictionaries.comparisons import RL, Comparisons, alone
    from probe.experiments.dictionaries.job import default_site

    pair = run.pair(name, after)
    elicitation, options = run.of(pair.before, temperature=warm, samples=samples)
    place, recipe = site or default_site(pair.before), fitting.of(pair.before)
    if pair.after is None:
        return alone(pair.before, elicitation, options, place, recipe, run.compute(), trainer)
    if trainer == "saelens":
        raise BadInput("SAELens' trainer has no dictionary of two models", where="--trainer", do="leave AFTER out")
    return Comparisons(pair, elicitation, options, place, recipe, run.compute()).dictionaries[RL]


def _write(kept: "Kept", out: Path, saelens: bool) -> None:
    """With what it was fitted on and how. BadInput where a dictionary is there already."""
    from probe.dictionaries.exchange.folder import ABOUT, write_dictionary

    if saelens:
        return _write_saelens(kept.dictionary, out)
    if (out / ABOUT).exists():
        raise BadInput("a dictionary is there already", where=str(out), do="give another folder")
    out.mkdir(parents=True, exist_ok=True)
    write_dictionary(kept, out)
    return say(f"wrote {out}")


def _write_saelens(found: "Dictionary", out: Path) -> None:
    from probe.dictionaries.exchange.saelens_write import write_saelens

    for model in found.models:
        write_saelens(found.side(model), out / model)
        say(f"wrote {out / model}")


def _about(found: "Dictionary") -> dict[str, Any]:
    kind = type(found.activation).__name__
    k = getattr(found.activation, "k", None)
    return {
        "models": list(found.models),
        "site": str(found.site),
        "width": found.d,
        "latents": found.n_latents,
        "activation": f"{kind}, k = {k:g}" if k else kind,
        "rows normalised": found.normalise,
    }


def _health(folder: Path) -> dict[str, Any]:
    """On the rows that were held out."""
    import json

    about = json.loads((folder / "health.json").read_text(encoding="utf-8"))
    return {"FVU": about["fvu"], "L0": about["l0"], "dead": about["dead"], "held rows": about["rows"]}


def _lines(about: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, _said(value)) for name, value in about.items()]


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    return number(value) if isinstance(value, float) else str(value)
