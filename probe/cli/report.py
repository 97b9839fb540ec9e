"""probe report: what changed and why, with every response before and after, on one page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli import settings
from probe.cli.dry_run import announce
from probe.cli.groups import command
from probe.cli.show import emit, messages, say

if TYPE_CHECKING:
    from probe.pages.pair_page import PairPage

Out = Annotated[Path | None, typer.Option("--out", help="Folder of the page [reports/BEFORE--AFTER].")]
Prompts = Annotated[str | None, typer.Option(help="Templates the base is also tried under [as `probe compare`].")]
Pairs = Annotated[int, typer.Option("--pairs", min=1, help="Pairs of responses on the page, at each temperature.")]


@command("report", place=62)
def report(
    before: settings.Before,
    after: settings.After,
    run: settings.Asked,
    out: Out = None,
    pairs: Pairs = 256,
    prompts: Prompts = None,
    samples: settings.Samples = 8,
    temperature: settings.Warm = 1.0,
    prefix: settings.Prefix = "",
    devices: settings.Devices = "",
    dry: settings.Dry = False,
    as_json: settings.AsJson = False,
) -> None:
    """Put all that is found on a pair on one page, which opens from disk.

    The verdict, figures, every measure with what it means, prompts and responses side by side, and the same text token
    by token under both models. What `probe compare` and `probe explain` left in the store is read, what is missing is
    made. Beside the page lies report.json with the same numbers.
    """
    from probe.pages.pair_page import pair_page

    pair = run.pair(before, after)
    asked, options = run.of(pair.before, temperature=temperature, samples=samples, prefix=prefix)
    tried = settings.other_prompts(prompts, asked, pair.before, run.manifest)
    page = pair_page(pair, asked, options, tried, run.compute(devices), pairs)
    if dry:
        return announce(page.jobs, run.held, run.workers, page.label, as_json)
    _write(page, run, out, as_json)


def _write(page: "PairPage", run: settings.Making, out: Path | None, as_json: bool) -> None:
    """Make what is missing, write the page and say where it is."""
    from probe.engine.executor import make
    from probe.engine.pool import pool_size
    from probe.engine.progress import Progress
    from probe.pages.embed import folder_of

    store = run.held
    with Progress(messages(), store, pool_size(run.workers)) as progress:
        make(page.jobs, store, workers=run.workers, listener=progress)
    paths = page.page(store).write(out or folder_of(page.names))
    told: dict[str, Any] = {"page": str(paths[0]), "numbers": str(paths[1]), "bytes": paths[0].stat().st_size}
    if as_json:
        return emit(told)
    say(f"wrote {paths[0]} ({told['bytes'] / 1e6:.1f} MB), the same numbers in {paths[1].name}; open it in a browser")
