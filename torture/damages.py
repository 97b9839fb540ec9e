"""Damages: files of finished artifacts, and of unfinished work that will be resumed, changed behind the program's back.

The same command again must set it right, to the bytes of an undisturbed run, or end with an error that says so and set
it right the next time. What it seals, writes or shows is never wrong.
"""

import os
import random
import shutil
from pathlib import Path

from torture.inputs import strange
from torture.scene import Scene, case
from torture.verdict import ACCEPT, BLOCKED, CODE, SEALED, SILENT, Ran, judge
from torture.watch import LIMIT, How
from torture.work import LATEST, WORKS, Peace, Work, dying, in_peace, results

FOREIGN = "zz-foreign.bin"
SPECIAL = ("link", "loop", "fifo", "folder", "device")  # what no program may have to put right by itself
KINDS = ("flip", "flip", "flip", "truncate", "append", "empty", "zeros", "delete", "swap", "foreign", *SPECIAL)
TRIES = 4
PATIENCE = 3  # times the undisturbed duration: it may be made twice, on a busy machine


def damage(rng: random.Random, files: list[Path], outside: Path) -> tuple[str, Path]:
    """Do one thing to one of the files; what, and to which."""
    kind, path = rng.choice(KINDS), rng.choice(files)
    other = rng.choice(files)
    if kind == "swap" and (other == path or other.read_bytes() == path.read_bytes()):
        kind = "flip"
    data = path.read_bytes()
    if kind in ("flip", "truncate", "zeros") and not data:
        kind = "append"
    if kind in ("flip", "truncate", "append", "empty", "zeros"):
        path.write_bytes(changed(rng, kind, data))
    elif kind == "swap":
        path.write_bytes(other.read_bytes())
        other.write_bytes(data)
    elif kind == "foreign":
        path = path.with_name(FOREIGN)
        path.write_bytes(rng.randbytes(100))
    else:
        path.unlink()
        _replace(kind, path, data, outside)
    return kind, path


def changed(rng: random.Random, kind: str, data: bytes) -> bytes:
    """Other bytes."""
    held = bytearray(data)
    if kind == "flip":
        held[rng.randrange(len(held))] ^= 1 << rng.randrange(8)
    elif kind == "truncate":
        del held[rng.randrange(len(held)) :]
    elif kind == "append":
        held += rng.choice((b"\n", b"{}", rng.randbytes(50), data[-200:] or b"x"))
    elif kind == "zeros":  # a torn page
        at = rng.randrange(len(held))
        held[at : at + 4096] = b"\1" * len(held[at : at + 4096])
    return b"" if kind == "empty" else bytes(held)


def _replace(kind: str, path: Path, data: bytes, outside: Path) -> None:
    """Something else in its place; nothing, if it was deleted."""
    if kind == "link":
        outside.write_bytes(data[:-1] + b"\xff")
        path.symlink_to(outside)
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        strange.device(path, 5)


def regular(folder: Path) -> list[Path]:
    """The regular files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


@case("damage", "damage-finished", 1)
def finished(scene: Scene) -> None:
    """One file of a finished artifact that the command reads."""
    work = WORKS[scene.rng.choice([name for name, each in sorted(WORKS.items()) if each.reads])]
    peace = in_peace(work, scene.place)
    shutil.copytree(scene.place / "peace" / work.name, scene.folder, dirs_exist_ok=True)
    shutil.rmtree(scene.folder / "exported", ignore_errors=True)
    files = [path for stage in work.reads for path in regular(scene.folder / "store" / stage)]
    set_right(scene, work, peace, damage(scene.rng, files, scene.folder / ".outside"))


@case("damage", "damage-unfinished", 1)
def unfinished(scene: Scene) -> None:
    """One file of work that was killed half-way: a kept step, a state, a log, a part, a shard or its description."""
    work = WORKS[scene.rng.choice([name for name, each in sorted(WORKS.items()) if each.resumes])]
    peace = in_peace(work, scene.place)
    scene.bring(*work.start)
    files: list[Path] = []
    for _ in range(TRIES):
        at = scene.rng.randint(1, peace.calls)
        scene.call(dying(work.call(scene.place), at), f"{work.name}, killed at call {at}", How(limit=LATEST))
        files = regular(scene.folder / "store" / "partial")
        if files or scene.ran[-1].code == 0:
            break
    if files:
        shutil.rmtree(scene.folder / "exported", ignore_errors=True)
        set_right(scene, work, peace, damage(scene.rng, files, scene.folder / ".outside"))


def set_right(scene: Scene, work: Work, peace: Peace, done: tuple[str, Path]) -> None:
    """The same command, once more where it refuses: at the end everything is as it was in peace."""
    kind, path = done
    scene.count("damage")
    name = path.relative_to(scene.folder)
    ran = again(scene, work, peace, f"{work.name} after {kind} of {name}")
    if ran.refused:
        if kind in SPECIAL and ran.text.strip():
            return
        second = again(scene, work, peace, f"{work.name}, the second time after {kind} of {name}")
        if second.code != 0:
            return scene.fault(BLOCKED, f"{kind} of {name}: {second.text[-300:]}")
        ran = second
    if ran.code == 0:
        compare(scene, work, peace, kind, str(name))


def again(scene: Scene, work: Work, peace: Peace, name: str) -> Ran:
    """The command; damaged artifacts may end it with any code but silence."""
    ran = scene.call(work.call(scene.place), name, How(limit=max(LIMIT, PATIENCE * peace.seconds)))
    scene.faults += [fault for fault in judge(ran, None) if fault.kind not in (CODE, ACCEPT)]
    if ran.refused and "damage" not in ran.text and not any(word in ran.text for word in ("error", "cannot", "not ")):
        scene.fault(SILENT, ran.text[-300:])
    return ran


def compare(scene: Scene, work: Work, peace: Peace, kind: str, name: str) -> None:
    """What is sealed, written and shown is right; a foreign file was named at least."""
    found = {file: held for file, held in results(scene.folder).items() if Path(file).name != FOREIGN}
    if not scene.compare(peace.files, found, SEALED):
        scene.faults[-1] = type(scene.faults[-1])(SEALED, f"after {kind} of {name}: {scene.faults[-1].detail}")
    ran = scene.ran[-1]
    if work.says and ran.out.decode(errors="replace") != peace.out:
        scene.fault(SEALED, f"stdout after {kind} of {name}: {ran.out[-200:]!r}, was {peace.out[-200:]!r}")
    left = [path for path in scene.folder.rglob(FOREIGN) if not {"damaged", "partial"} & set(path.parts)]
    if left and not any(FOREIGN in each.text for each in scene.ran):
        scene.fault(SEALED, f"a foreign file stands in {left[0].parent.relative_to(scene.folder)}, and nothing is said")
