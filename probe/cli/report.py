"""probe report: what changed and why, with every response before and after, on one page."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli import settings
from probe.cli.compare_rollouts import meant
from probe.cli.dry_run import announce
from probe.cli.groups import command
from probe.cli.show import emit, messages, say
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.checkpoints.pair import Pair
    from probe.pages.outputs_page import OutputsPage
    from probe.pages.pair_page import PairPage
    from probe.pages.study_page import StudyPage

WHAT = f"{settings.CHECKPOINT} Or outputs (a data set, or the file BEFORE); or a study."
Out = Annotated[Path | None, typer.Option("--out", help="Folder of the page [reports/BEFORE--AFTER].")]
Prompts = Annotated[str | None, typer.Option(help="Templates the base is also tried under [as `probe compare`].")]
Cards = Annotated[
    bool | None,
    typer.Option("--cards/--no-cards", help="Feature cards, colour by latent [where the store has `probe features`]."),
]
Steering = Annotated[
    bool | None,
    typer.Option("--steering/--no-steering", help="Answers by steering dose [where the store has `probe steer`]."),
]
Pairs = Annotated[int, typer.Option("--pairs", min=1, help="Pairs of responses on the page, at each temperature.")]
Each = Annotated[bool, typer.Option("--each", help="Of a study: a page for every pair too, in OUT/pairs.")]
Held = Annotated[bool, typer.Option("--held", help="Make nothing: show what the store holds, and name the rest.")]


@command("report", place=62)
def report(
    before: Annotated[str, typer.Argument(help=WHAT)],
    run: settings.Asked,
    after: settings.MaybeAfter = None,
    out: Out = None,
    each: Each = False,
    held: Held = False,
    pairs: Pairs = 256,
    prompts: Prompts = None,
    cards: Cards = None,
    steering: Steering = None,
    samples: settings.Samples = 8,
    temperature: settings.Warm = 1.0,
    prefix: settings.Prefix = "",
    devices: settings.Devices = "",
    grading: settings.Labels = None,
    figures: settings.Figures = settings.FIGURES,
    dry: settings.Dry = False,
    as_json: settings.AsJson = False,
) -> None:
    """Put all that is found on a pair on one page, which opens from disk.

    The verdict, figures, every measure with what it means, prompts and responses side by side, and the same text token
    by token under both models. What `probe compare` and `probe explain` left in the store is read, what is missing is
    made. What `probe features` and `probe steer` left is on it too, as feature cards, a colour of tokens by latent and
    answers at every dose; --cards and --steering make that where it is missing. Beside the page lies
    report.json with the same numbers. Outputs without weights (a published data set, or two files as `probe
    compare-rollouts` takes them) have a page without tokens; a study has one of its figures and measurements, and an
    index of its pairs, whose pages --each makes. --held makes nothing.
    """
    from probe.pages.embed import folder_of

    def build(pair: "Pair") -> "PairPage":
        from probe.pages.inside import inside

        ask: dict[str, Any] = {"temperature": temperature, "samples": samples, "prefix": prefix}
        page = _of_pair(pair, run, pairs, prompts, devices, **ask)
        here = not (dry and pair.is_outside)  # weights that are only announced may not be here yet
        return inside(page, run.held if here else None, cards, steering)

    if dry and held:
        raise BadInput("--held makes nothing: --dry has nothing to announce", do="leave one of them out")
    study = _study(before, after, figures)
    if study is not None:
        from probe.cli.study_report import report_study

        how = {"each": each, "held": held, "dry": dry, "as_json": as_json}
        return report_study(study, run, build, out or folder_of(study.names), **how)
    if each:
        raise BadInput("--each is of a study", where=before, do="give a study (`probe ls studies`), or leave it out")
    page = _outputs_page(before, after, run, pairs, grading) or build(run.pair(before, after))
    if dry:
        return announce(page.jobs, run.held, run.workers, page.label, as_json)
    if not held:
        _make(page, run)
    found = _only_held(page, run) if held else page
    _written(found.page(run.held).write(out or folder_of(page.names)), as_json, getattr(found, "missing", ()))


def _study(name: str, after: str | None, figures: Path) -> "StudyPage | None":
    """The study of that name, if one is meant."""
    from probe.pages.study_page import StudyPage
    from probe.studies import studies, study

    return StudyPage(study(name), figures) if after is None and name in studies.names() else None


def _outputs_page(
    before: str, after: str | None, run: settings.Making, pairs: int, grading: Any
) -> "OutputsPage | None":
    """The page of outputs, if they are meant."""
    outputs = _outputs(before, after, run.held.root)
    if not outputs:
        return None
    from probe.experiments.published_outputs.job import published_job
    from probe.pages.outputs_page import OutputsPage

    return OutputsPage(published_job(outputs, grading), pairs)


def _only_held(page: "PairPage | OutputsPage", run: settings.Making) -> "PairPage | OutputsPage":
    """The page of what is there; what is not is said. BadInput where there is too little."""
    from probe.pages import provenance
    from probe.pages.held import held
    from probe.pages.outputs_page import OutputsPage

    if isinstance(page, OutputsPage):
        return page.held(run.held)
    found = held(page, run.held, lambda said: provenance.command(page.compare, said))
    for part, makes in found.missing:
        say(f"not in the store: {part}; {makes} makes it")
    return found


def _outputs(before: str, after: str | None, root: Path) -> list[Path]:
    """The outputs meant: files, or a published data set; none, where checkpoints are meant."""
    from probe.models.loading.manifest import load_manifest

    first = Path(before)
    if after is not None:
        return [first, Path(after)] if first.is_file() and Path(after).is_file() else []
    if before in load_manifest().datasets or any(first.glob("data-*.arrow")):
        return [meant(first, root)]
    raise BadInput("one name is no pair", where=before, do="give BEFORE and AFTER, a published data set, or a study")


def _of_pair(
    pair: "Pair", run: settings.Asked, pairs: int, prompts: str | None, devices: str, **ask: Any
) -> "PairPage":
    """The page of two checkpoints."""
    from probe.pages.pair_page import pair_page

    asked, options = run.of(pair.before, **ask)
    tried = settings.other_prompts(prompts, asked, pair.before, run.manifest)
    return pair_page(pair, asked, options, tried, run.compute(devices), pairs)


def _make(page: "PairPage | OutputsPage", run: settings.Making) -> None:
    """Make what is missing."""
    from probe.engine.executor import make
    from probe.engine.pool import pool_size
    from probe.engine.progress import Progress

    store = run.held
    with Progress(messages(), store, pool_size(run.workers)) as progress:
        make(page.jobs, store, workers=run.workers, listener=progress)


def _written(paths: list[Path], as_json: bool, missing: Iterable[tuple[str, str]] = ()) -> None:
    """Say where the page is, and what it lacks."""
    told: dict[str, Any] = {"page": str(paths[0]), "numbers": str(paths[1]), "bytes": paths[0].stat().st_size}
    if as_json:
        return emit(told | {"missing": [{"part": part, "command": makes} for part, makes in missing]})
    say(f"wrote {paths[0]} ({told['bytes'] / 1e6:.1f} MB), the same numbers in {paths[1].name}; open it in a browser")
