"""probe mend: what is damaged in the store is set aside and made again."""

from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import say, shown
from probe.errors import ProbeError

if TYPE_CHECKING:
    from probe.store import Store


@command("mend", place=185)
def mend(store: settings.Root = None, manifest: settings.ManifestFile = None, workers: settings.Workers = None) -> None:
    """Set aside what is damaged in the store, and make it again.

    Made again is what a study or the manifest names, to the same digest, also behind results that are whole.
        Anything else is made again by the command that made it, when it is needed. Nothing is deleted.
    """
    from probe.cli.gc import known_jobs
    from probe.cli.training import make_needs

    held = settings.open_store(store)
    found = damaged(held)
    if not found:
        return shown(f"nothing is damaged in {held.root}")
    known = {job.recipe.folder: job for job in known_jobs(held.root, manifest)}
    lost = []
    for path in found:
        if (aside := held.set_aside(path)) is not None:
            say(f"{path}: what is damaged is set aside in {aside}")
        if f"{path.parent.name}-{path.name}" not in known and not path.exists():
            lost.append(path)
    jobs = [known[name] for path in found if (name := f"{path.parent.name}-{path.name}") in known]
    make_needs(jobs, held, workers)
    shown(f"{len(found) - len(lost)} mended")
    for path in lost:
        shown(f"{path.parent.name} {path.name} is made again by the command that made it, when it is needed")


def damaged(store: "Store") -> list[Path]:
    """The folders of all artifacts that are not whole."""
    from probe.store import gc
    from probe.store.artifact import check, open_artifact

    found = []
    for path in gc.finished(store.root):
        try:
            check(open_artifact(path))
        except ProbeError:
            found.append(path)
    return found
