"""probe gc: what nobody needs any more."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import emit, shown, table
from probe.cli.why import figure_record


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
    """
    held = settings.open_store(store)
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
    from probe.checkpoints.resolve import job_of, made_here
    from probe.engine.plan import all_behind
    from probe.models.loading.manifest import load_manifest
    from probe.studies import studies, targets_of

    read = load_manifest(manifest)
    jobs = [job for jobs in targets_of(studies.names(), root) for job in jobs]
    jobs += [job_of(name, read) for name in made_here(read)]
    records = [figure_record(file.stem, figures) for file in sorted(figures.glob("*.json"))]
    drawn_from = {digest for record in records for digest in record["provenance"]["inputs"]}
    return {job.recipe.digest for job in all_behind(jobs)} | drawn_from
