"""Is this folder a whole artifact, and what is in it? Sealing what was made, checking it, reading it.

spec.json = the recipe, its digest, {file: sha256, bytes}, the circumstances (outside the identity), and `checksum`, the
sha256 of all of that as canonical JSON: a flipped bit anywhere, in data or spec, is seen before anything is read.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from probe.errors import BadInput, ProbeError
from probe.registry import nearest
from probe.store.files import DIGESTS, SPOILT, TEMPORARY, digest_once, file_digest, sync, write_atomic
from probe.store.recipe import Recipe, canonical
from probe.store.regular import kind, read_regular

SPEC = "spec.json"
SCRATCH = "scratch"
SPEC_BYTES = 2**26


class Damaged(ProbeError):
    """An artifact is not what its spec says it is."""


class Foreign(Damaged):
    """Its files are whole, but others lie among them."""


@dataclass(frozen=True)
class Artifact:
    """A finished folder of the store. Every read goes through `file`, which checks the checksum first."""

    stage: str
    digest: str
    path: Path
    spec: dict[str, Any] = field(hash=False, repr=False)
    bring: Callable[[], object] | None = field(default=None, compare=False, repr=False)  # of a store behind a URL

    @property
    def params(self) -> dict[str, Any]:
        """The recipe's params."""
        return self.spec["params"]

    @property
    def recipe(self) -> Recipe:
        """What it was made from, as its spec says."""
        return Recipe(self.stage, self.spec["version"], self.params, self.inputs)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The recipe's inputs: digests and pins."""
        return tuple(self.spec["inputs"])

    def file(self, name: str) -> Path:
        """Path of one of its files. BadInput for a name it does not hold, Damaged if the content has changed."""
        if name not in self.spec["files"]:
            do = nearest(name, sorted(self.spec["files"]))
            raise BadInput(f"{self.stage} {self.digest[:12]} holds no file {name!r}", where=str(self.path), do=do)
        if self.bring is not None:
            self.bring()
        check_file(self, name)
        return self.path / name

    def read_table(self, name: str = "data.parquet") -> pa.Table:
        """One of its tables."""
        return pq.read_table(self.file(name), partitioning=None)


def seal(work: Path, recipe: Recipe, facts: dict[str, Any]) -> None:
    """Write spec.json over everything in `work` but `scratch/`, all of it on the disk before the spec is."""
    files = {}
    for path in _contents(work):
        sync(path)
        files[path.relative_to(work).as_posix()] = {"sha256": file_digest(path), "bytes": path.stat().st_size}
    if not files:
        raise ProbeError(f"making {recipe.stage} wrote no file", where=str(work), do="write a file in `make`")
    body = {**recipe.identity(), "digest": recipe.digest, "files": files, **facts}
    text = json.dumps({**body, "checksum": _checksum(body)}, indent=2, sort_keys=True, allow_nan=False)
    write_atomic(work / SPEC, text.encode())


def tidy(work: Path) -> None:
    """Remove what is not part of the artifact: `scratch/`, digests, and the temporary files of killed writes."""
    if (work / SCRATCH).exists():
        shutil.rmtree(work / SCRATCH)
    for path in (*work.rglob(TEMPORARY), *work.rglob(DIGESTS)):
        path.unlink()
    for folder, _, _ in os.walk(work):
        sync(Path(folder))


def open_artifact(path: Path) -> Artifact:
    """The artifact in a folder, its spec checked and its data not yet read. Damaged if the spec is not sound."""
    try:
        data = read_regular(path / SPEC, SPEC_BYTES)
    except (OSError, BadInput) as err:
        raise _damage(path, f"{SPEC} cannot be read: {type(err).__name__}: {err}") from err
    return artifact_of(data, path)


def artifact_of(data: bytes, path: Path) -> Artifact:
    """The artifact of which this is the spec, in that folder. Damaged if the spec is not sound."""
    try:
        spec = json.loads(data)
        body = {key: value for key, value in spec.items() if key != "checksum"}
        recipe = Recipe(spec["stage"], spec["version"], spec["params"], tuple(spec["inputs"]))
        sound = spec["checksum"] == _checksum(body) and spec["digest"] == recipe.digest
    except (ValueError, LookupError, TypeError, AttributeError, BadInput) as err:
        raise _damage(path, f"{SPEC} cannot be read: {type(err).__name__}: {err}") from err
    if not sound:
        raise _damage(path, f"{SPEC} does not match its own checksum")
    return Artifact(recipe.stage, recipe.digest, path, spec)


def check(artifact: Artifact) -> Artifact:
    """The artifact, every file of it checked; Damaged at the first that is missing, changed or foreign."""
    check_files(artifact)
    strange = foreign(artifact)
    if strange:
        raise Foreign(
            f"damaged artifact: {strange[0].relative_to(artifact.path)} is none of its files",
            where=str(artifact.path),
            do="move it away, or run `probe mend`: it is set aside, and the artifact stays",
        )
    return artifact


def check_files(artifact: Artifact) -> Artifact:
    """The artifact, the files that its spec names checked, whatever lies beside them."""
    for name in artifact.spec["files"]:
        check_file(artifact, name)
    return artifact


def foreign(artifact: Artifact) -> list[Path]:
    """What lies in the artifact's folder and is not in its spec: a loader that reads folders would read it."""
    known = {artifact.path / name for name in (SPEC, *artifact.spec["files"])}
    known |= {parent for path in known for parent in path.parents}
    found = [Path(here) / name for here, folders, names in os.walk(artifact.path) for name in (*folders, *names)]
    return sorted(path for path in found if path not in known and path.parent in known)


def check_file(artifact: Artifact, name: str) -> None:
    """Damaged unless the file's size and sha256 are those of the spec."""
    path, wanted = artifact.path / name, artifact.spec["files"][name]
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _damage(artifact.path, f"{name} is {kind(found.st_mode)}")
        size = found.st_size
        if size != wanted["bytes"]:
            raise _damage(artifact.path, f"{name} has {size} bytes, not {wanted['bytes']}")
        if digest_once(path) != wanted["sha256"]:
            raise _damage(artifact.path, f"the sha256 of {name} has changed")
    except OSError as err:
        raise _damage(artifact.path, f"{name} cannot be read: {err}") from err


def _contents(work: Path) -> list[Path]:
    """Every file to be sealed, sorted; scratch, temporary files and an earlier spec are not."""
    files = []
    for path in sorted(work.rglob("*")):
        inside = path.relative_to(work)
        if path.is_symlink():
            raise ProbeError(f"{inside} is a symbolic link", where=str(work), do="write the content into the artifact")
        ours = inside.parts[0] in (SCRATCH, SPEC) or any(path.match(kind) for kind in (TEMPORARY, DIGESTS, SPOILT))
        if path.is_file() and not ours:
            files.append(path)
    return files


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def _damage(path: Path, what: str) -> Damaged:
    do = "run the command that makes it again, or `probe mend`: it is set aside and rebuilt"
    return Damaged(f"damaged artifact: {what}", where=str(path), do=do)
