"""A store that other machines see too: its artifacts lie behind a URL, and are read through a folder of this machine.

    URL/<stage>/<16 hex>/<16 hex of the file's sha256>/<name>     a file of an artifact, named by its content
    URL/<stage>/<16 hex>/spec.json                                the marker, written last: all of its files are there
    URL/damaged/<stage>-<16 hex>.<random>/                        markers and files that turned out damaged, never read

Nothing is locked there. Two machines that make one artifact write the same files, or others under other names; the
first marker stands, and the other machine takes over what it says. A file is checked against the marker's sha256 when
it is brought here, so what a machine holds of an artifact is what the marker says, or is brought again.
"""

import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from probe.store.artifact import SPEC, Artifact, Damaged, artifact_of, check, check_file, open_artifact
from probe.store.bucket import Bucket
from probe.store.files import sync
from probe.store.locks import exclusive
from probe.store.recipe import RESERVED, SHORT

log = logging.getLogger(__name__)
MARKER = re.compile(rf"(([a-z0-9][a-z0-9_-]*)/[0-9a-f]{{{SHORT}}})/spec\.json")
LISTED_FOR = 10.0  # seconds that a listing is believed of what is not in it: a plan asks of thousands
TRIES = 3


class Remote:
    """The artifacts below a URL; `root` is the folder of this machine's copies, a store like any other."""

    def __init__(self, url: str, root: Path) -> None:
        self.bucket, self.root = Bucket(url), root
        self._known: dict[str, Artifact] = {}  # by folder: markers that were read, and sound
        self._sizes: dict[str, int] = {}
        self._listed = float("-inf")

    def artifacts(self, stage: str | None = None) -> list[Artifact]:
        """Every artifact with a sound marker; its files are brought when they are read."""
        self._sizes, self._listed = self.bucket.sizes(), time.monotonic()
        places = [found for name in sorted(self._sizes) if (found := MARKER.fullmatch(name))]
        folders = [found[1] for found in places if found[2] not in RESERVED]
        new = self.bucket.read_all(f"{folder}/{SPEC}" for folder in folders if folder not in self._known)
        for name, data in new.items():
            try:
                self._read(name.rpartition("/")[0], data)
            except Damaged as err:
                log.warning("%s", err)
        held = [self._known[folder] for folder in folders if folder in self._known]
        return [each for each in held if stage in (None, each.stage)]

    def holds(self, stage: str, digest: str, *, fresh: bool = False) -> bool:
        """Whether the artifact is there: its marker is sound, and every file has the size that it says.

        `fresh`: ask again, rather than believe what was listed a moment ago.
        """
        folder = _folder(stage, digest)
        if not fresh and self._listed == float("-inf"):
            self.artifacts()
        if not fresh and folder not in self._known and time.monotonic() - self._listed < LISTED_FOR:
            return False
        try:
            artifact = self._marker(stage, digest)
        except Damaged as err:
            log.warning("%s", err)
            return False
        if artifact is None:
            return False
        return (not fresh and _is_complete(artifact, self._sizes)) or _is_complete(artifact, self.bucket.sizes(folder))

    def bring(self, stage: str, digest: str) -> Artifact | None:
        """This machine's copy of the artifact, brought now unless it is here and what the marker says.

        None where it is not there. Damaged where it is, and was set aside.
        """
        try:
            artifact = self._marker(stage, digest)
        except Damaged:
            self._set_aside(stage, digest)
            raise
        if artifact is None or self._is_here(artifact):
            return artifact
        with exclusive(self.root / "locks" / f"{stage}-{digest[:SHORT]}.fetch.lock"):
            if not self._is_here(artifact):  # another process may have brought it
                self._fetch_whole(artifact)
        return artifact

    def publish(self, made: Artifact) -> None:
        """Put a whole artifact of this machine there, unless one is; then that one is brought here in its place."""
        folder = _folder(made.stage, made.digest)
        for _ in range(TRIES):
            if self._marker_or_aside(made) is None:
                for name, about in check(made).spec["files"].items():
                    self.bucket.put(made.path / name, _place(folder, name, about))
                if self.bucket.create(f"{folder}/{SPEC}", (made.path / SPEC).read_bytes()):
                    self._known[folder] = made
                    return
            try:
                self.bring(made.stage, made.digest)
                return
            except Damaged as err:
                log.warning("%s: it is put there anew", err)
        raise Damaged(f"what is put into the store {self.bucket.shown} is damaged there", where=folder)

    def _marker(self, stage: str, digest: str) -> Artifact | None:
        """The artifact as its marker says; None where there is none, Damaged where it is not sound."""
        folder = _folder(stage, digest)
        if folder not in self._known:
            data = self.bucket.read(f"{folder}/{SPEC}")
            if data is None:
                return None
            self._read(folder, data)
        if self._known[folder].digest != digest:
            raise self._damage(folder, f"{SPEC} is of {self._known[folder].digest}")
        return self._known[folder]

    def _marker_or_aside(self, made: Artifact) -> Artifact | None:
        try:
            return self._marker(made.stage, made.digest)
        except Damaged as err:
            log.warning("%s", err)
            self._set_aside(made.stage, made.digest)
            return None

    def _read(self, folder: str, data: bytes) -> None:
        try:
            artifact = artifact_of(data, self.root / folder)
        except Damaged as err:
            raise self._damage(folder, err.what.removeprefix("damaged artifact: ")) from err
        if _folder(artifact.stage, artifact.digest) != folder:
            raise self._damage(folder, f"{SPEC} is of {artifact.digest}")
        self._known[folder] = replace(artifact, bring=partial(self.bring, artifact.stage, artifact.digest))

    def _is_here(self, artifact: Artifact) -> bool:
        """Whether this machine's copy is whole, and holds what the marker says."""
        if not os.path.lexists(artifact.path):
            return False
        try:
            here = check(open_artifact(artifact.path))
        except Damaged as err:
            log.warning("%s: it is brought again", err.what)
            return False
        return bool(here.spec["files"] == artifact.spec["files"])

    def _fetch_whole(self, artifact: Artifact) -> None:
        """Into a folder beside, then into its place; what stood there is kept among what is damaged."""
        name, place = f"{artifact.stage}-{artifact.digest[:SHORT]}.{time.time_ns()}", artifact.path
        work, aside = (self.root / folder / name for folder in ("partial", "damaged"))
        try:
            self._fetch(artifact, work)
            place.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(place):
                aside.parent.mkdir(parents=True, exist_ok=True)
                place.rename(aside)
            os.replace(work, place)
            sync(place.parent)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _fetch(self, artifact: Artifact, work: Path) -> None:
        """Bring the files into a new folder. Damaged where one is not what the marker says: it is set aside there."""
        folder = _folder(artifact.stage, artifact.digest)
        work.mkdir(parents=True)
        here = Artifact(artifact.stage, artifact.digest, work, artifact.spec)
        for name, about in artifact.spec["files"].items():
            place = _place(folder, name, about)
            try:
                self.bucket.get(place, work / name)
                check_file(here, name)
            except (FileNotFoundError, Damaged) as err:
                self._set_aside(artifact.stage, artifact.digest, place)
                why = err.what.removeprefix("damaged artifact: ") if isinstance(err, Damaged) else f"{name} is missing"
                raise self._damage(folder, why) from err
        data = self.bucket.read(f"{folder}/{SPEC}")
        if data is None or artifact_of(data, work).spec["files"] != artifact.spec["files"]:
            self._known.pop(folder, None)
            raise self._damage(folder, "another was put in its place meanwhile")
        (work / SPEC).write_bytes(data)
        for path in (*work.rglob("*"), work):
            sync(path)

    def _set_aside(self, stage: str, digest: str, file: str | None = None) -> None:
        """Move a damaged marker, and the file that is damaged, where nothing reads them; the marker first."""
        folder = _folder(stage, digest)
        aside = f"damaged/{stage}-{digest[:SHORT]}.{secrets.token_hex(4)}"
        self._known.pop(folder, None)
        self.bucket.move(f"{folder}/{SPEC}", f"{aside}/{SPEC}")
        if file is not None:
            self.bucket.move(file, f"{aside}/{file.removeprefix(f'{folder}/')}")

    def _damage(self, folder: str, what: str) -> Damaged:
        do = "run the command that makes it again: it is set aside there, and made again"
        return Damaged(f"damaged artifact: {what}", where=f"{self.bucket.shown}/{folder}", do=do)


def _folder(stage: str, digest: str) -> str:
    return f"{stage}/{digest[:SHORT]}"


def _place(folder: str, name: str, about: dict[str, str]) -> str:
    return f"{folder}/{about['sha256'][:SHORT]}/{name}"


def _is_complete(artifact: Artifact, sizes: Mapping[str, int]) -> bool:
    """Whether every file is there, as long as its marker says."""
    folder = _folder(artifact.stage, artifact.digest)
    files = artifact.spec["files"].items()
    return all(sizes.get(_place(folder, name, about)) == about["bytes"] for name, about in files)
