"""What in the store does nobody need? Listed first, deleted on request, and never anything the store did not write.

Only folders named as the store names them are ever touched: <stage>/<16 hex>, partial/<stage>-<16 hex> and damaged/*.
A symbolic link among them stops the sweep before anything is deleted.
"""

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from probe.errors import BadInput, ProbeError
from probe.store.artifact import Artifact
from probe.store.files import tree_bytes
from probe.store.leases import alone, leased
from probe.store.lineage import trace
from probe.store.locks import exclusive
from probe.store.recipe import RESERVED, SHORT, is_digest

_SHORT = re.compile(rf"[0-9a-f]{{{SHORT}}}")
_WORK = re.compile(rf"[a-z0-9][a-z0-9_-]*-[0-9a-f]{{{SHORT}}}(\.\d+)?")


@dataclass(frozen=True)
class Removal:
    """A folder that can go, or went, and what that frees."""

    path: Path
    why: Literal["unneeded", "unfinished", "damaged"]
    bytes: int
    mark: int = field(compare=False, default=0)  # when it was last touched, as of now


def candidates(root: Path, needed: set[str]) -> list[Removal]:
    """Every folder that is not needed. `needed` holds full digests, whose ancestors must already be among them."""
    kept = {digest[:SHORT] for digest in needed}
    removals: list[Removal] = []
    for path in finished(root):
        if path.name not in kept:
            removals.append(Removal(path, "unneeded", tree_bytes(path), _mark(path)))
    for folder, why in (("partial", "unfinished"), ("damaged", "damaged")):
        for path in _folders(root / folder, _WORK):
            removals.append(Removal(path, why, tree_bytes(path), _mark(path)))  # type: ignore[arg-type]
    return removals


def finished(root: Path) -> Iterator[Path]:
    """The folder of every finished artifact, in order of stage and digest."""
    for stage in _folders(root, re.compile(r"[a-z0-9][a-z0-9_-]*")):
        if stage.name not in RESERVED:
            yield from _folders(stage, _SHORT)


def ancestors(keep: set[str], held: dict[str, Artifact]) -> set[str]:
    """The digests to keep, and those of all that they were made from. BadInput for a digest that is not full."""
    for digest in keep:
        if not is_digest(digest):  # a prefix would match nothing, and what it meant would be deleted
            raise BadInput(f"cannot keep {digest!r}", where="gc", do="give full digests (64 hex digits)")
    digests: set[str] = set()
    todo = [trace(digest, held.get) for digest in keep]
    while todo:
        node = todo.pop()
        if node.kind != "pinned" and node.name not in digests:
            digests.add(node.name)
            todo.extend(node.inputs)
    return digests


def remove(root: Path, removal: Removal) -> bool:
    """Delete one folder; False, and nothing deleted, where a process is writing it, or has a lease on it."""
    path = removal.path
    _check_inside(root, path)
    with exclusive(root / "locks" / f"{_lock_name(path)}.lock", wait=False) as free:
        trash = _away(root, removal) if free else None
        if trash is None:
            return False
        shutil.rmtree(trash)
        return True


def _away(root: Path, removal: Removal) -> Path | None:
    """Moved first: a kill during the deletion leaves no half artifact in place. None: leased, gone, touched."""
    path = removal.path
    if removal.why == "damaged":
        return path if path.is_dir() else None
    with alone(root):
        if _mark(path) != removal.mark or _digits(path) in {digest[:SHORT] for digest in leased(root)}:
            return None
        trash = root / "damaged" / f"{_lock_name(path)}.{time.time_ns()}"
        trash.parent.mkdir(exist_ok=True)
        return path.rename(trash)


def _mark(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _digits(path: Path) -> str:
    return path.name.rpartition("-")[2]


def _lock_name(path: Path) -> str:
    return f"{path.parent.name}-{path.name}" if _SHORT.fullmatch(path.name) else path.name.partition(".")[0]


def _folders(parent: Path, shape: re.Pattern[str]) -> list[Path]:
    """Folders of the given name in `parent`, sorted. A symbolic link of that name is an error: it may lead anywhere."""
    if not parent.is_dir():
        return []
    matches = [path for path in sorted(parent.iterdir()) if shape.fullmatch(path.name)]
    for path in matches:
        if path.is_symlink():
            do = "remove the link: the store follows none"
            raise ProbeError(f"{path} is a symbolic link", where="store", do=do)
    return [path for path in matches if path.is_dir()]


def _check_inside(root: Path, path: Path) -> None:
    if ".." in path.parts or path.is_symlink() or path.resolve().parent.parent != root.resolve():
        do = "only folders of this store are deleted"
        raise ProbeError(f"refusing to delete {path}", where=f"store {root}", do=do)
