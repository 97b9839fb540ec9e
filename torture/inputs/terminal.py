"""Names that a terminal would obey, shown on terminals of every kind: none may get through, none may stop a command."""

import json
import os
import sys

from torture.inputs import strange
from torture.scene import Scene, case
from torture.verdict import judge
from torture.watch import How

STARTING = 60.0  # seconds: a new interpreter imports everything first
ENCODINGS = ("ascii", "latin-1", "cp1252", "utf-8", "iso8859-15")
SMALL = ("--limit", 2, "--samples", 1, "--max-new", 4, "--workers", 1)


@case("input", "planted", 5)
def planted(scene: Scene) -> None:
    """Control characters in the name of a file, a folder, a tensor, a column, a problem or an answer."""
    rng = scene.rng
    where = rng.choice((_file, _column, _problem, _folder, _tensor, _manifest, _store))
    words, bad = where(scene)
    how = How(encoding=rng.choice(ENCODINGS), terminal=rng.random() < 0.4)
    scene.check(*words, bad=bad, how=how, planted=strange.PLANTED)


@case("input", "encoding", 3)
def encoding(scene: Scene) -> None:
    """Right commands whose texts hold every script, on terminals that hold few: done, the rest replaced."""
    rng = scene.rng
    rows = [{"problem": f"p{i} é漢½∞🂡", "text": "∑ é \\boxed{1}", "answer": "1", "temperature": 0.0} for i in range(3)]
    for name in ("é漢.jsonl", "after.jsonl"):
        (scene.folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    scene.bring("manifest.yaml", "store")
    commands = (
        ("compare-rollouts", "é漢.jsonl", "after.jsonl", "--store", "s", "--figures", "figures"),
        ("import-rollouts", "é漢.jsonl", "--out", "out.parquet", "--name", "é漢"),
        ("ls", "rewards"),
        ("ls", "checkpoints", "--manifest", "manifest.yaml"),
        ("sample", "raw", *SMALL, "--store", "store", "--manifest", "manifest.yaml", "--prefix", ""),
        ("gc", "--store", "store", "--manifest", "manifest.yaml"),
    )
    how = How(encoding=rng.choice(ENCODINGS), terminal=rng.random() < 0.3)
    scene.check(*rng.choice(commands), bad=False, how=how)


@case("input", "locale")
def locale(scene: Scene) -> None:
    """The same in a new interpreter of the C locale, where Python itself reads and writes ASCII."""
    rng = scene.rng
    row = {"problem": "é漢½∞🂡", "text": "∑ \\boxed{1}", "answer": "1", "right": True}
    for name in ("a.jsonl", "b.jsonl"):
        (scene.folder / name).write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    scene.bring("manifest.yaml")
    commands = (
        ("compare-rollouts", "a.jsonl", "b.jsonl", "--store", "store", "--figures", "figures"),
        ("import-rollouts", "a.jsonl", "--out", "out.parquet", "--name", "é漢"),
        ("import-rollouts", f"{strange.PLANTED}é.jsonl", "--out", "out.parquet"),
        ("ls", "figures"),
        ("ls", "checkpoints", "--manifest", "manifest.yaml"),
        ("why", "é漢"),
    )
    words = rng.choice(commands)
    program = f"import sys; sys.path[:0] = {sys.path!r}; from probe.cli import main; main()"

    def call() -> None:
        encoding = {} if rng.random() < 0.5 else {"PYTHONIOENCODING": "ascii"}
        os.environ.update(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", **encoding)
        os.execv(sys.executable, [sys.executable, "-c", program, *map(os.fsencode, words)])  # type: ignore[list-item]

    scene.count("input")
    scene.faults += judge(scene.call(call, " ".join(words), How(limit=STARTING)), None)


def _file(scene: Scene) -> tuple[tuple[object, ...], bool | None]:
    name = strange.PLANTED + ".jsonl"
    if scene.rng.random() < 0.5:
        (scene.folder / name).write_bytes((scene.place / "rows.jsonl").read_bytes())
        scene.bring("after.jsonl")
        return ("compare-rollouts", name, "after.jsonl", "--store", "store", "--figures", "figures"), None
    return ("import-rollouts", name, "--out", "out.parquet"), True


def _column(scene: Scene) -> tuple[tuple[object, ...], bool | None]:
    (scene.folder / "f.jsonl").write_text(json.dumps({strange.PLANTED: "1", "b": strange.PLANTED}) + "\n")
    return ("import-rollouts", "f.jsonl", "--out", "out.parquet"), True


def _problem(scene: Scene) -> tuple[tuple[object, ...], bool | None]:
    row = {"problem": strange.PLANTED, "text": f"{strange.PLANTED}\\boxed{{1}}", "answer": strange.PLANTED}
    twice = [row | {"sample": 0}] * scene.rng.choice((1, 2))
    for name in ("f.jsonl", "g.jsonl"):
        (scene.folder / name).write_text("".join(json.dumps(each) + "\n" for each in twice))
    words = ("compare-rollouts", "f.jsonl", "g.jsonl", "--store", "store", "--figures", "figures")
    return (words if scene.rng.random() < 0.5 else ("import-rollouts", "f.jsonl", "--out", "out.parquet")), None


def _folder(scene: Scene) -> tuple[tuple[object, ...], bool | None]:
    scene.bring("folder", "manifest.yaml")
    name = f"./{strange.PLANTED}"
    os.rename(scene.folder / "folder", scene.folder / name)
    if broken := scene.rng.random() < 0.5:
        (scene.folder / name / "config.json").write_text("{")
    return ("sample", name, *SMALL, "--store", "store", "--manifest", "manifest.yaml"), True if broken else None


def _tensor(scene: Scene) -> tuple[tuple[object, ...], bool | None]:
    from torture.inputs.models import read_tensors, write_tensors

    scene.bring("folder", "manifest.yaml")
    path = scene.folder / "folder" / "model.safetensors"
    header, data = read_tensors(path)
    name = next(each for each in header if each != "__metadata__")
    header[strange.PLANTED] = header.pop(name)
    write_tensors(path, header, data)
    return ("sample", "./folder", *SMALL, "--store", "store", "--manifest", "manifest.yaml"), True


def _manifest(scene: Scene) -> tuple[tuple[object, ...], bool | None]:
    text = (scene.place / "manifest.yaml").read_text()
    hostile = json.dumps(strange.PLANTED)
    places = (("raw: {", f"{hostile}: {{"), ("licence: unknown", f"licence: {hostile}"), ("format", hostile))
    (scene.folder / "m.yaml").write_text(text.replace(*scene.rng.choice(places)))
    return ("ls", "checkpoints", "--manifest", "m.yaml"), None


def _store(scene: Scene) -> tuple[tuple[object, ...], bool | None]:
    scene.bring("manifest.yaml", "store")
    os.rename(scene.folder / "store", scene.folder / strange.PLANTED)
    words = ("sample", "raw", *SMALL, "--store", strange.PLANTED, "--manifest", "manifest.yaml")
    return words, None
