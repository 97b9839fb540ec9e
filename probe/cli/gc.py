"""probe gc: what nobody needs any more."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import emit, say, shown, table
from probe.cli.why import figure_record

if TYPE_CHECKING:
    from probe.engine.job import Job


@command("gc", place=190)
def gc(
    delete: Annotated[bool, typer.Option("--delete", help="Delete; without it nothing is touched.")] = False,
    store: settings.Root = None,
    figures: settings.Figures = settings.FIGURES,
    manifest: settings.ManifestFile = None,
    as_json: settings.AsJson = False,
) -> None:
    """List, or delete, what nothing needs.

    Needed is what a drawn figure, a study or an entry of the manifest is made from.
        Results of compare, sample and compare-rollouts are not needed in this sense: they can be made again.
        What a command that runs meanwhile reads or writes is left.
    """
    held = settings.open_store(store)
    listed = held.gc(needed(held.root, figures, manifest))
    found = held.gc(needed(held.root, figures, manifest), delete=True) if delete else listed  # a second look
    if as_json:
        return emit([{"path": str(each.path), "why": each.why, "bytes": each.bytes} for each in found])
    counts = Counter((each.path.parent.name, each.why) for each in found)
    if found:
        table(("folder", "why", "artifacts"), [(*key, n) for key, n in sorted(counts.items())], right=("artifacts",))
    done = "deleted" if delete else "can go; --delete removes them" if found else "nothing to remove"
    shown(f"{len(found)} artifacts, {sum(each.bytes for each in found) / 1e6:.1f} MB: {done}")
    if len(listed) > len(found):
        say(f"{len(listed) - len(found)} are left: a command that runs now needs them")


def needed(root: Path, figures: Path, manifest: Path | None) -> set[str]:
    """Digests of what the drawn figures, every study and the manifest are made from, made yet or not."""
    records = [figure_record(file.stem, figures) for file in sorted(figures.glob("*.json"))]
    drawn_from = {digest for record in records for digest in record["provenance"]["inputs"]}
    return {job.recipe.digest for job in known_jobs(root, manifest)} | drawn_from


def known_jobs(root: Path, manifest: Path | None) -> "Iterator[Job]":
    """The jobs behind every study and everything of the manifest, each once."""
    from probe.checkpoints.resolve import job_of, made_here
    from probe.engine.plan import all_behind
    from probe.models.loading.manifest import load_manifest
    from probe.studies import studies, targets_of

    read = load_manifest(manifest)
    jobs = [job for jobs in targets_of(studies.names(), root) for job in jobs]
    return all_behind([*jobs, *(job_of(name, read) for name in made_here(read))])
