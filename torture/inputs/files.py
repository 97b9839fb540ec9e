"""What is no file where a file is expected: FIFOs, devices without end, folders, links in a circle, names of no text.

And locks that are no lock: folders, FIFOs, links, in the store.
"""

import os
from collections.abc import Callable

from torture.inputs import strange
from torture.scene import Scene, case
from torture.verdict import CODE

SUFFIXES = (".jsonl", ".json", ".csv", ".parquet", ".arrow")
HERE = ("--store", "store", "--manifest", "manifest.yaml", "--workers", 1)
DAMAGED = 1  # exit code
SMALL = ("--limit", 1, "--samples", 1, "--max-new", 2)


def _import(scene: Scene) -> tuple[str, tuple[object, ...]]:
    name = f"given{scene.rng.choice(SUFFIXES)}"
    return name, ("import-rollouts", name, "--out", "out.parquet")


def _compare(scene: Scene) -> tuple[str, tuple[object, ...]]:
    name = f"given{scene.rng.choice(SUFFIXES)}"
    scene.bring("rows.jsonl")
    pair = (name, "rows.jsonl") if scene.rng.random() < 0.5 else ("rows.jsonl", name)
    return name, ("compare-rollouts", *pair, "--store", "store", "--figures", "figures")


def _score(scene: Scene) -> tuple[str, tuple[object, ...]]:
    scene.bring("store", "manifest.yaml")
    return "given.parquet", ("score", "given.parquet", "--scorer", "raw", "--out", "out.parquet", *HERE)


def _manifest(scene: Scene) -> tuple[str, tuple[object, ...]]:
    return "given.yaml", ("ls", "checkpoints", "--manifest", "given.yaml")


def _problems(scene: Scene) -> tuple[str, tuple[object, ...]]:
    scene.bring("store", "manifest.yaml")
    name = f"given{scene.rng.choice(SUFFIXES)}"
    return name, ("sample", "raw", "--problems", name, *SMALL, *HERE)


def _weights(scene: Scene) -> tuple[str, tuple[object, ...]]:
    scene.bring("folder", "manifest.yaml")
    names = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    name = f"folder/{scene.rng.choice(names)}"
    (scene.folder / name).unlink()
    return name, ("sample", "./folder", *SMALL, *HERE)


def _figure(scene: Scene) -> tuple[str, tuple[object, ...]]:
    (scene.folder / "figures").mkdir()
    return "figures/response_curves.json", ("why", "response_curves", "--store", "store")


READERS: tuple[Callable[[Scene], tuple[str, tuple[object, ...]]], ...] = (
    *(_import, _compare, _score, _manifest, _problems, _weights, _figure),
)


@case("input", "no-file", 5)
def no_file(scene: Scene) -> None:
    """A FIFO, a device, a folder, a circle of links or a broken name where a command reads."""
    rng = scene.rng
    name, words = rng.choice(READERS)(scene)
    target = scene.folder / name
    how = rng.randrange(7)
    if how == 0:
        os.mkfifo(target)
    elif how in (1, 2):
        strange.device(target, 5 if how == 1 else 3)
    elif how == 3:
        target.symlink_to(target.name)
    elif how == 4:
        strange.device(scene.folder / "endless", 5)
        target.symlink_to(scene.folder / "endless")
    elif how == 5:
        target.mkdir()
    else:
        target.write_bytes(b"")
    scene.check(*words, bad=True)


@case("input", "broken-name", 2)
def broken_name(scene: Scene) -> None:
    """Names of bytes that are no UTF-8, of control characters, and of files that are not there."""
    rng = scene.rng
    name, words = rng.choice(READERS[:3])(scene)
    broken = b"x\xff\xfe\x80" if rng.random() < 0.5 else strange.text(rng, 40).replace("\0", "").encode()
    broken = broken.replace(b"/", b"")[:200] + os.fsencode(name[name.rindex(".") :])
    there = rng.random() < 0.5
    if there:
        (scene.folder / os.fsdecode(broken)).write_bytes((scene.place / "rows.jsonl").read_bytes())
    said = [os.fsdecode(broken) if word == name else word for word in words]
    scene.check(*said, bad=None if there else True)


@case("input", "lock", 2)
def lock(scene: Scene) -> None:
    """A lock that is a folder, a FIFO, a device or a link: the job is made all the same, or refused; it never waits."""
    rng = scene.rng
    scene.bring("store", "manifest.yaml")
    few = ("--limit", 2, "--samples", 1, "--max-new", 4)
    words = ("sample", "raw", *few, *HERE)
    scene.probe(*words)  # where its artifact lies, and so what its lock is called
    made = next((scene.folder / "store" / "responses").iterdir())
    locks = scene.folder / "store" / "locks"
    locks.mkdir(exist_ok=True)
    target = locks / f"responses-{made.name}.lock"
    made.rename(scene.folder / "away")
    how = rng.randrange(6)
    if how == 0:
        target.mkdir()
    elif how == 1:
        os.mkfifo(target)
    elif how == 2:
        strange.device(target, rng.choice((3, 5)))
    elif how == 3:
        target.symlink_to(rng.choice(("nowhere/at/all", target.name)))
    elif how == 4:
        locks.rmdir()
        locks.write_bytes(b"a file") if rng.random() < 0.5 else locks.symlink_to("nowhere")
    else:
        target.write_bytes(strange.text(rng, 200).encode("utf-8", "replace"))
    faults = len(scene.faults)
    ran = scene.check(*words, bad=None if how != 5 else False)
    if ran.code == DAMAGED:  # a store that is not as it was left is damage, not bad input
        scene.faults[faults:] = [fault for fault in scene.faults[faults:] if fault.kind != CODE]
