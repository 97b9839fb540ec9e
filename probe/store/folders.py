"""How does a whole folder get to a place that somebody named, or not at all?

made beside it, hidden -> synced -> what stands there moved away, if that was asked for -> renamed -> the old removed
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from probe.errors import BadInput
from probe.store.files import disk_errors, sync
from probe.store.locks import exclusive


def check_free(out: Path, *, overwrite: bool, shows: str) -> None:
    """BadInput where the folder `out` would be in somebody's way.

    An empty folder is not; with `overwrite`, neither is one that holds a file named `shows`: it was made before.
    """
    place = out.resolve()
    if not os.path.lexists(out) or (place.is_dir() and not any(place.iterdir())):
        return
    if not place.is_dir():
        raise BadInput("this is in the way of the export", where=str(out), do="name a new or an empty folder")
    if not overwrite:
        do = "name a new or an empty folder, or replace it with --overwrite"
        raise BadInput("this is in the way of the export", where=str(out), do=do)
    if not (place / shows).is_file():
        do = f"only a folder with a {shows} is replaced: name another"
        raise BadInput("this folder holds something else", where=str(out), do=do)


@contextlib.contextmanager
def whole_folder(out: Path, *, overwrite: bool, shows: str) -> Iterator[Path]:
    """A hidden folder beside `out` to write into, which takes its place at the end; after an error it is removed.

    What a kill leaves of it is removed by the next one. BadInput: see `check_free`.
    """
    place = out.resolve()
    with disk_errors(place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(place.with_name(f".{place.name}.lock")):
            check_free(out, overwrite=overwrite, shows=shows)
            made, old = (place.with_name(f".{place.name}.{what}") for what in ("probe-part", "probe-old"))
            _recover(place, made, old)
            made.mkdir()
            try:
                yield made
                _put(made, place, old)
            finally:
                shutil.rmtree(made, ignore_errors=True)


def _recover(place: Path, made: Path, old: Path) -> None:
    """After a kill: half a folder goes, and what stood there before comes back if nothing took its place."""
    shutil.rmtree(made, ignore_errors=True)
    if old.exists() and not place.exists():
        old.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _put(made: Path, place: Path, old: Path) -> None:
    for path in (*made.rglob("*"), made):
        sync(path)
    if place.exists():
        place.rename(old)
    made.rename(place)
    sync(place.parent)
    shutil.rmtree(old, ignore_errors=True)
