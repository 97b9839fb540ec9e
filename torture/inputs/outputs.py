"""Named outputs: `--out` on top of its input, a device, a link, a folder, another's file; nothing may be lost."""

import os
import socket
from pathlib import Path

from torture.inputs import strange
from torture.inputs.arguments import commands, options_of
from torture.scene import Scene, case

OTHER = b"not to be lost\n" * 20
STANDS = ("file", "input", "folder", "full folder", "fifo", "device", "full", "link", "dangling", "loop", "socket")
REFUSED = {"input", "folder", "full folder", "fifo", "device", "full", "loop", "socket"}  # whatever --overwrite says
WRITERS = ("sample", "score", "import-rollouts")


@case("input", "out", 6)
def out(scene: Scene) -> None:
    """A command that writes to a named path, where something stands already."""
    rng = scene.rng
    writer, stands = rng.choice(WRITERS), rng.choice(STANDS)
    target = scene.folder / "target.parquet"
    words, given = _command(scene, writer)
    if stands == "input" and given is None:
        stands = "file"
    named = _put(target, stands, scene.folder / (given or ""))
    if rng.random() < 0.3 and stands == "input":  # the input by another of its names
        (scene.folder / "other.parquet").symlink_to(named)
        named = "other.parquet"
    overwrite = rng.random() < 0.5 and "--overwrite" in options_of(commands()[writer])
    bad = True if stands in REFUSED or (stands in ("file", "link") and not overwrite) else None
    may = ("beyond.parquet" if stands == "link" else "target.parquet",) if overwrite else ()  # a link stays one
    scene.check(*words, "--out", named, *(("--overwrite",) if overwrite else ()), bad=bad, may_change=may)


@case("input", "out-name", 2)
def out_name(scene: Scene) -> None:
    """Strange names of outputs: no such folder, endless, of bytes that are no UTF-8, of nothing."""
    rng = scene.rng
    words, _ = _command(scene, rng.choice(WRITERS))
    names = ("", ".", "..", "/", "no/such/folder/x.parquet", "x" * 300 + ".parquet", "manifest.yaml/x.parquet", "./")
    broken = os.fsdecode(b"\xff\xfe\x80.parquet")
    name = rng.choice((*names, broken, f"{strange.text(rng, 30).replace(chr(0), '')}/x.parquet"))
    known = (*names[:4], *names[5:])
    scene.check(*words, "--out", name, bad=True if name in known or name == broken else None)


@case("input", "export", 2)
def export(scene: Scene) -> None:
    """`train --out`: a folder that is in the way, a file, a link, a device."""
    rng = scene.rng
    scene.bring("store", "manifest.yaml")
    stands = rng.choice(("file", "full folder", "fifo", "device", "loop", "socket", "dangling"))
    _put(scene.folder / "target", stands, scene.folder)
    bad = None if stands == "dangling" else True
    scene.check("train", "raw", "--out", "target", "--store", "store", "--manifest", "manifest.yaml", bad=bad)


@case("input", "figures-folder")
def figures_folder(scene: Scene) -> None:
    """`--figures` and `--store` where no folder can be."""
    rng = scene.rng
    scene.bring("rows.jsonl", "after.jsonl")
    stands = rng.choice(("file", "fifo", "device", "loop", "socket"))
    _put(scene.folder / "target", stands, scene.folder)
    where = ("--store", "target") if rng.random() < 0.5 else ("--store", "store", "--figures", "target")
    scene.check("compare-rollouts", "rows.jsonl", "after.jsonl", *where, bad=True)


def _command(scene: Scene, writer: str) -> tuple[tuple[object, ...], str | None]:
    """The words of a command that writes, and its input file."""
    scene.bring("manifest.yaml")
    here = ("--manifest", "manifest.yaml", "--workers", 1)
    if writer == "sample":
        scene.bring("store")
        few = ("--limit", 2, "--samples", 1, "--max-new", 4)
        return ("sample", "raw", *few, *here, "--store", "store"), None
    if writer == "score":
        scene.bring("store", "responses.parquet")
        return ("score", "responses.parquet", "--scorer", "raw", *here, "--store", "store"), "responses.parquet"
    scene.bring("responses.parquet")
    return ("import-rollouts", "responses.parquet", "--map", "sample="), "responses.parquet"


def _put(target: Path, stands: str, given: Path) -> str:
    """Put something where the output is to be; the name to give for it."""
    if stands == "input":
        return given.name
    if stands in ("file", "link"):
        place = target.with_name("beyond.parquet") if stands == "link" else target
        place.write_bytes(OTHER)
    if stands in ("link", "dangling"):
        target.symlink_to("beyond.parquet")
    if stands == "loop":
        target.symlink_to(target.name)
    if stands in ("folder", "full folder"):
        target.mkdir()
    if stands == "full folder":
        (target / "held").write_bytes(OTHER)
    if stands == "fifo":
        os.mkfifo(target)
    if stands in ("device", "full"):
        strange.device(target, 3 if stands == "device" else 7)
    if stands == "socket":
        _socket(target)
    return target.name


def _socket(target: Path) -> None:
    """Bound by its name alone: whole paths may be too long for a socket."""
    before = os.open(".", os.O_RDONLY)
    os.chdir(target.parent)
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(target.name)
    os.fchdir(before)
    os.close(before)
