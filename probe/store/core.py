"""Make it once: look it up, or make it, whoever else is trying and however often the process is killed.

complete and checksums hold -> return it; else lock the digest, look again, make it in a work folder that outlives a
kill, seal it (files fsynced, then spec.json), rename it into place. A damaged artifact is set aside and made again.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from probe.errors import BadInput
from probe.store import gc, leases
from probe.store.address import as_url, cache_of
from probe.store.artifact import Artifact, Damaged, Foreign, check, check_files, foreign, open_artifact, seal, tidy
from probe.store.files import SPOILT, disk_errors, sync, tree_bytes
from probe.store.lineage import Lineage, trace
from probe.store.locks import exclusive
from probe.store.provenance import circumstances
from probe.store.recipe import SHORT, Recipe, check_stage
from probe.store.remote import Remote
from probe.store.unfinished import sweep, vouched

log = logging.getLogger(__name__)
Make = Callable[[Path], None]


class Store:
    """The artifacts under one folder: `root`, else $PROBE_STORE, else `.probe`. Made at the first write.

    Behind a URL they lie on another machine (`remote`), and `root` is the folder of this machine's copies.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        chosen = root if root is not None else os.environ.get("PROBE_STORE") or ".probe"
        url = as_url(os.fspath(chosen))
        chosen = chosen if url is None else cache_of(url)
        self.root = Path(chosen).expanduser().resolve()
        ground = next(each for each in (self.root, *self.root.parents) if each.exists())
        if not ground.is_dir():
            what = "is a file" if ground == self.root else f"would lie in {ground}, a file"
            raise BadInput(f"the store {self.root} {what}", do="set PROBE_STORE to a folder")
        self.remote = None if url is None else Remote(url, self.root)

    @property
    def address(self) -> str:
        """What another process opens it by: its folder, or its URL, which may hold a password."""
        return str(self.root) if self.remote is None else self.remote.bucket.url

    @property
    def shown(self) -> str:
        """The same for the eyes of people: without what is secret."""
        return str(self.root) if self.remote is None else self.remote.bucket.shown

    def prepare(self) -> None:
        """Make its folder before anything is made. BadInput where that cannot be."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            what = f"the store {self.root} cannot be made: {err.strerror}"
            raise BadInput(what, do="set PROBE_STORE to a folder that can be written") from err
        if self.remote is not None:
            self.remote.bucket.check_writable()

    def build(self, recipe: Recipe, make: Make, *, device: str = "cpu", dtype: str = "float32") -> Artifact:
        """The recipe's artifact, made now unless it is there and whole.

        `make(work)` writes files into the folder `work`. After a kill it is called again with what it had written
        whole, by `write_atomic`, `write_table` or `keep`: what is half, or has changed since, is not there any more. It
        can go on from there, and must end with the same bytes. Files in `work/scratch/` (resume state) are not kept.
        `device` and `dtype` are recorded, and are no part of the identity.
        """
        facts = {"device": device, "dtype": dtype}
        self._bring(recipe.stage, recipe.digest, mend=True)
        with disk_errors(self.root, self._spare):
            artifact = self._whole(recipe)
            if artifact is None:
                with exclusive(self.root / "locks" / f"{recipe.folder}.lock"):
                    self.lease([recipe.digest])
                    artifact = self._whole(recipe, mend=True) or self._make(recipe, make, facts)
        if self.remote is not None:
            self.remote.publish(artifact)
            artifact = open_artifact(artifact.path)  # of another machine, if it was faster
        return artifact

    def lease(self, digests: Iterable[str]) -> bool:
        """Say that this process is about to read these artifacts: until it ends, no other's `gc` takes them."""
        return leases.lease(self.root, digests)

    def set_aside(self, path: Path) -> Path | None:
        """Move a damaged artifact out of the way, or what is foreign in it; None where it is whole after all."""
        with exclusive(self.root / "locks" / f"{path.parent.name}-{path.name}.lock"):
            try:
                check(open_artifact(path))
            except Foreign:
                return self._parts_aside(foreign(open_artifact(path)), path, f"{path.parent.name}-{path.name}")
            except Damaged:
                return self._set_aside(path, f"{path.parent.name}-{path.name}")
            return None

    def find(self, digest: str, stage: str | None = None) -> Artifact:
        """The artifact whose digest starts with `digest`, checked. BadInput if there is none or more than one."""
        found = self._one(digest, stage)
        self._bring(found.stage, found.digest)
        self._use(found.path, found.digest)
        return check(found)

    def holds(self, recipe: Recipe, *, fresh: bool = False) -> bool:
        """Whether the recipe's artifact is finished and whole; its files are checked, nothing is made.

        Behind a URL marker and sizes are looked at, and the files when they are read; `fresh`: not as listed before.
        """
        if self.remote is not None:
            return self.remote.holds(recipe.stage, recipe.digest, fresh=fresh)
        return self._whole(recipe) is not None

    def get(self, recipe: Recipe) -> Artifact:
        """The recipe's finished artifact, checked. BadInput where it is not there or damaged."""
        path = self.root / recipe.stage / recipe.digest[:SHORT]
        what, do = f"the store holds no whole {recipe.stage} {recipe.digest[:SHORT]}", "make it first"
        try:
            there = self._bring(recipe.stage, recipe.digest)
        except Damaged as err:
            raise BadInput(f"{what}: {err.what}", where=err.where, do=err.do) from err
        if there and os.path.lexists(path):
            self._use(path, recipe.digest)
            try:
                return _expect(check(open_artifact(path)), recipe)
            except Damaged as err:
                what, do = f"{what}: {err.what}", "`probe mend` makes it again"
        raise BadInput(what, where=f"store {self.shown}", do=f"{do}, or set PROBE_STORE to where it is")

    def artifacts(self, stage: str | None = None) -> list[Artifact]:
        """Every artifact with a sound spec, by stage and digest; files are checked when read, damaged specs logged."""
        if stage is not None:
            check_stage(stage)
        if self.remote is not None:
            return self.remote.artifacts(stage)
        sound = []
        for path in gc.finished(self.root):
            if stage in (None, path.parent.name):
                try:
                    sound.append(open_artifact(path))
                except Damaged as err:
                    log.warning("%s", err)
        return sound

    def why(self, digest: str) -> Lineage:
        """The tree of specs behind an artifact (digest or its beginning), down to pinned inputs."""
        held = {each.digest: each for each in self.artifacts()}
        return trace(self._one(digest, None).digest, held.get)

    def gc(self, keep: set[str], *, delete: bool = False) -> list[gc.Removal]:
        """What `keep` (full digests) and its ancestors do not need, unfinished and damaged work included.

        Nothing is deleted unless `delete`; then what was deleted is returned, which leaves out what another process is
        writing, has a lease on, or has looked at since it was listed.
        """
        if self.remote is not None:
            what = f"{self.shown} is not swept from here: what other machines need of it is not seen"
            raise BadInput(what, do=f"sweep this machine's copies: probe gc --store {self.root}")
        held = {each.digest: each for each in self.artifacts()}
        removals = gc.candidates(self.root, gc.ancestors(keep, held))
        return [each for each in removals if gc.remove(self.root, each)] if delete else removals

    def _use(self, path: Path, digest: str) -> None:
        """Lease it, and leave a mark for a `gc` that has listed it already."""
        if self.lease([digest]):
            with contextlib.suppress(OSError):
                os.utime(path)

    def _one(self, digest: str, stage: str | None) -> Artifact:
        where = f"store {self.shown}"
        if not digest or set(digest) - set("0123456789abcdef"):
            raise BadInput(f"{digest!r} is not a digest", where=where, do="give its hex digits, or the first few")
        if self.remote is not None:
            matches = self.remote.artifacts(stage)
        else:
            near = [path for path in gc.finished(self.root) if path.name.startswith(digest[:SHORT])]
            matches = [open_artifact(path) for path in near if stage in (None, path.parent.name)]
        matches = [each for each in matches if each.digest.startswith(digest)]
        if len(matches) == 1:
            return matches[0]
        names = [f"{each.stage}/{each.digest[:SHORT]}" for each in matches]
        what = f"{len(matches)} artifacts start with {digest}" if matches else f"the store holds no artifact {digest}"
        do = f"say which: {', '.join(names)}" if matches else "make it first, or set PROBE_STORE to where it is"
        raise BadInput(what, where=where, do=do)

    def _bring(self, stage: str, digest: str, *, mend: bool = False) -> bool:
        """Bring what a store behind a URL holds of it to this machine; whether it may be here (in a folder, always).

        Damaged where it is not whole there; `mend`: that is said, and what is not here is made.
        """
        if self.remote is None:
            return True
        with disk_errors(self.root, self._spare):
            self.lease([digest])
            try:
                return self.remote.bring(stage, digest) is not None
            except Damaged as err:
                if not mend:
                    raise
                log.warning("%s\n  set aside there and made again [%s]", err.what, err.where)
                return False

    def _whole(self, recipe: Recipe, *, mend: bool = False) -> Artifact | None:
        """The finished artifact, or None. A damaged one is None too; `mend` (under the lock) sets it aside."""
        path = self.root / recipe.stage / recipe.digest[:SHORT]
        if not os.path.lexists(path):
            return None
        self._use(path, recipe.digest)
        try:
            return _expect(check(open_artifact(path)), recipe)
        except Foreign as err:
            if mend:
                aside = self._parts_aside(foreign(open_artifact(path)), path, recipe.folder)
                log.warning("%s\n  set aside in %s", err.what, aside)
                return self._whole(recipe)
        except Damaged as err:
            if mend:
                log.warning("%s\n  set aside in %s and made again", err.what, self._set_aside(path, recipe.folder))
        return None

    def _make(self, recipe: Recipe, make: Make, facts: dict[str, str]) -> Artifact:
        work = self.root / "partial" / recipe.folder
        resumed = self._begun(work, recipe)
        if not _is_sealed(work, recipe):
            sweep(work)
            start = time.monotonic()
            with vouched(work):
                make(work)
            seconds = round(time.monotonic() - start, 3)  # of this process: a resumed build took longer in all
            seal(work, recipe, {**circumstances(), **facts, "seconds": seconds, "resumed": resumed})
        self._parts_aside(sorted(work.rglob(SPOILT)), work, recipe.folder)
        tidy(work)
        place = self.root / recipe.stage / recipe.digest[:SHORT]
        _make_folder(place.parent)
        os.replace(work, place)
        sync(place.parent)
        return open_artifact(place)

    def _begun(self, work: Path, recipe: Recipe) -> bool:
        """Whether an earlier process left work to go on from; the folder is there afterwards."""
        if os.path.lexists(work) and (work.is_symlink() or not work.is_dir()):
            log.warning("%s is no folder: set aside as %s", work, self._set_aside(work, recipe.folder))
        resumed = work.is_dir()
        _make_folder(work)
        return resumed

    def _set_aside(self, path: Path, folder: str) -> Path:
        place = self._free_place(folder)
        path.rename(place)
        return place

    def _parts_aside(self, parts: list[Path], within: Path, folder: str) -> Path | None:
        """Some files of a folder, under their names there; None where there are none."""
        if not parts:
            return None
        place = self._free_place(folder)
        for part in parts:
            to = place / part.relative_to(within)
            to.parent.mkdir(parents=True, exist_ok=True)
            part.rename(to)
        return place

    def _free_place(self, folder: str) -> Path:
        damaged = self.root / "damaged"
        _make_folder(damaged)
        count = len(list(damaged.glob(f"{folder}.*")))
        while os.path.lexists(place := damaged / f"{folder}.{count}"):
            count += 1
        return place

    def _spare(self) -> str:
        spare = sum(tree_bytes(self.root / folder) for folder in ("partial", "damaged")) / 1e6
        return f"; `probe gc` lists what the store can give back ({spare:,.0f} MB of it unfinished or damaged)"


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as err:
        do = "look what it is and move it away, then run the same command again"
        raise BadInput("something that is no folder stands in the store", where=str(err.filename), do=do) from err


def _expect(artifact: Artifact, recipe: Recipe) -> Artifact:
    if artifact.digest != recipe.digest:
        raise Damaged(f"damaged artifact: {artifact.path} holds {artifact.digest}, not {recipe.digest}")
    return artifact


def _is_sealed(work: Path, recipe: Recipe) -> bool:
    """Whether an earlier process finished and sealed the work, and was killed before it could rename it."""
    try:
        return _expect(check_files(open_artifact(work)), recipe) is not None  # `scratch/` may still be there
    except Damaged:
        return False
