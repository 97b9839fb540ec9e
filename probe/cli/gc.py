"""probe gc: what nobody needs any more."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli.app import app
from probe.cli.names import ManifestFile
from probe.cli.options import FIGURES, AsJson, Figures, Root, open_store
from probe.cli.show import emit, shown, table
from probe.cli.why import figure_record

if TYPE_CHECKING:
    from probe.pipeline.jobs import Job


@app.command()
def gc(
    delete: Annotated[bool, typer.Option("--delete", help="Delete; without it nothing is touched.")] = False,
    store: Root = None,
    figures: Figures = FIGURES,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
) -> None:
    """List, or delete, what nothing needs.

    Needed is what a drawn figure, a study or an entry of the manifest is made from.
        Results of compare, sample and compare-rollouts are not needed in this sense: they can be made again.
    """
    held = open_store(store)
    found = held.gc(needed(held.root, figures, manifest), delete=delete)
    if as_json:
        return emit([{"path": str(each.path), "why": each.why, "bytes": each.bytes} for each in found])
    counts = Counter((each.path.parent.name, each.why) for each in found)
    if found:
        table(("folder", "why", "artifacts"), [(*key, n) for key, n in sorted(counts.items())], right=("artifacts",))
    done = "deleted" if delete else "can go; --delete removes them" if found else "nothing to remove"
    shown(f"{len(found)} artifacts, {sum(each.bytes for each in found) / 1e6:.1f} MB: {done}")


def needed(root: Path, figures: Path, manifest: Path | None) -> set[str]:
    """Digests of what the drawn figures, every study and the manifest are made from, made yet or not."""
    from probe.models.manifest import load_manifest
    from probe.pipeline.subjects import here, made_here
    from probe.studies import studies, targets_of

    read = load_manifest(manifest)
    jobs = [job for jobs in targets_of(studies.names(), root) for job in jobs]
    jobs += [made_here(name, read) for name in here(read)]
    records = [figure_record(file.stem, figures) for file in sorted(figures.glob("*.json"))]
    return _digests(jobs) | {digest for record in records for digest in record["provenance"]["inputs"]}


def _digests(jobs: "list[Job]") -> set[str]:
    """Of the jobs and all they need: a half-made study is kept too."""
    found: set[str] = set()
    todo = list(jobs)
    while todo:
        job = todo.pop()
        if job.recipe.digest not in found:
            found.add(job.recipe.digest)
            todo.extend(job.needs)
    return found
