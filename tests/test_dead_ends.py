"""From wherever a store or a folder has got, a command leads on; nothing that stood there is lost on the way."""

import json
import logging
import multiprocessing
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from store_cases import RECIPE, TABLE, die_at, flip, make_table, never, tree
from toy_jobs import MAKER, diamond
from typer.testing import CliRunner

from probe.cli import app
from probe.errors import BadInput
from probe.families import Family, families
from probe.rng import numpy_rng
from probe.store import Damaged, Recipe, Store, gc, leases
from probe.store.folders import check_free, whole_folder
from probe.store.locks import exclusive

SEED = 7
CONFIG = "config.json"
MANIFEST = """\
version: 1
templates: {none: {text: "{prompt}"}}
organisms:
  short: {family: soon-taught, size: tiny, seed: 0}
runs:
  run: {base: short, reward: format, batches: 1, seed: 3}
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def command(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


# what is damaged behind something whole


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, tuple[object, ...]]:
    """A run and its organism, of a family that is taught in three steps."""
    families.names()
    kind = Family((0.5, 0.5, 0.5, 0.5), 1.0, 1.0, 1.0, 1.0, steps={"tiny": 3})
    monkeypatch.setitem(families._found, "soon-taught", lambda: kind)
    (tmp_path / "manifest.yaml").write_text(MANIFEST)
    where = ("--store", tmp_path / "store", "--manifest", tmp_path / "manifest.yaml")
    command("train", "run", *where)
    return Store(tmp_path / "store"), where


def test_a_damaged_organism_behind_a_whole_run_is_made_again(
    made: tuple[Store, tuple[object, ...]], tmp_path: Path
) -> None:
    """By the command that needs it, and by `probe mend`: to the same bytes each time."""
    store, where = made
    (organism,) = store.artifacts("organism")
    (run,) = store.artifacts("run")
    whole = tree(store.root / "organism")
    flip(organism.path / "model.safetensors")
    command("train", "run", "--out", tmp_path / "export", *where)
    assert tree(store.root / "organism") == whole
    assert (tmp_path / "export" / "model.safetensors").exists()
    flip(organism.path / "model.safetensors")
    stray = store.build(Recipe("stray", 1), make_table)
    flip(stray.path / "data.parquet")
    told = command("check", *where, code=1)
    assert "probe mend" in told
    told = command("mend", *where)
    assert "1 mended" in told
    assert f"stray {stray.path.name} is made again by the command that made it" in told
    assert tree(store.root / "organism") == whole
    assert store.find(run.digest).digest == run.digest
    assert len(list((store.root / "damaged").iterdir())) == 3
    assert "nothing is damaged" in command("mend", *where)


def test_export_replaces_what_it_may_and_nothing_else(made: tuple[Store, tuple[object, ...]], tmp_path: Path) -> None:
    _, where = made
    out, other, file = tmp_path / "export", tmp_path / "other", tmp_path / "file"
    (tmp_path / "empty").mkdir()
    other.mkdir()
    for mine in (other / "thesis", file):
        mine.write_text("mine")
    for place in (out, tmp_path / "empty"):
        command("train", "run", "--out", place, *where)
    weights = (out / "model.safetensors").read_bytes()
    (out / "model.safetensors").write_bytes(b"old")
    assert "--overwrite" in command("train", "run", "--out", out, *where, code=2)
    assert (out / "model.safetensors").read_bytes() == b"old"
    command("train", "run", "--out", out, "--overwrite", *where)
    assert (out / "model.safetensors").read_bytes() == weights
    for place in (other, file):
        command("train", "run", "--out", place, "--overwrite", *where, code=2)
    assert (other / "thesis").read_text() == file.read_text() == "mine"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


# a folder that takes its place whole


def write(folder: Path, content: str) -> None:
    for name in (CONFIG, "weights", "deep/er"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)


def export_and_die(out: Path, at: int) -> None:
    """In a child: kill this process just before its `at`-th system call that changes or syncs a file."""
    die_at(at, ("fsync", "rename", "unlink", "rmdir", "mkdir", "open"))
    with whole_folder(out, overwrite=True, shows=CONFIG) as folder:
        write(folder, "new")
    os._exit(0)


def test_a_kill_at_any_step_of_an_export_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    for at in range(200):
        out = tmp_path / str(at) / "out"
        out.mkdir(parents=True)
        write(out, "old")
        child = fork.Process(target=export_and_die, args=(out, at))
        child.start()
        child.join(timeout=20)
        hidden = [path for path in (out, out.with_name(".out.probe-old")) if path.exists()]
        assert set(tree(hidden[0]).values()) in ({b"old"}, {b"new"})
        assert len(tree(hidden[0])) == 3
        with whole_folder(out, overwrite=True, shows=CONFIG) as folder:
            write(folder, "newer")
        assert set(tree(out).values()) == {b"newer"}
        assert [path.name for path in out.parent.iterdir()] == ["out"]
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
    assert at > 10


def test_an_error_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    def half(folder: Path) -> None:
        (folder / CONFIG).write_text("{")
        raise RuntimeError("half way")

    with (
        pytest.raises(RuntimeError, match="half way"),
        whole_folder(tmp_path / "out", overwrite=False, shows=CONFIG) as folder,
    ):
        half(folder)
    assert not list(tmp_path.iterdir())
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="in the way"):
        check_free(tmp_path / "link", overwrite=True, shows=CONFIG)


# what is foreign in an artifact


def foreign_file(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"foreign")


def foreign_folder(folder: Path, name: str) -> None:
    foreign_file((folder / name / "deep"), "x") if (folder / name / "deep").mkdir(parents=True) is None else None


def foreign_link(folder: Path, name: str) -> None:
    (folder / name).symlink_to(folder / "data.parquet")


FOREIGN = (foreign_file, foreign_folder, foreign_link)
NAMES = (
    "generation_config.json",
    ".hidden",
    "data2.parquet",
    "spec.json.bak",
    "x y",
    "scratch",
    ".data.parquet.sha256",
)


def test_whatever_is_put_into_an_artifact_is_seen_and_moved_out(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    made = store.build(RECIPE, make_table)
    for draw in range(20):
        rng = numpy_rng("foreign", SEED, draw)
        names = [NAMES[i] for i in rng.permutation(len(NAMES))[: int(rng.integers(1, 4))]]
        for name in names:
            FOREIGN[int(rng.integers(len(FOREIGN)))](made.path, name)
        assert not store.holds(RECIPE)
        with pytest.raises(Damaged, match="is none of its files"):
            store.find(RECIPE.digest)
        with pytest.raises(BadInput, match="is none of its files"):
            store.get(RECIPE)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert store.build(RECIPE, never).read_table().equals(TABLE)
        assert "set aside" in caplog.text
        assert {path.name for path in made.path.iterdir()} == {"data.parquet", "spec.json"}
        aside = store.root / "damaged" / f"{RECIPE.folder}.{draw}"
        assert {path.name for path in aside.iterdir()} == set(names)


# locks, and places of the store that something else stands in


def folder_at(path: Path) -> None:
    path.mkdir(parents=True)


def link_at(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to(path.parent / "elsewhere")


def pipe_at(path: Path) -> None:
    path.parent.mkdir(parents=True)
    os.mkfifo(path)


def file_above(path: Path) -> None:
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text("")


@pytest.mark.parametrize("put", [folder_at, link_at, pipe_at, file_above])
def test_what_stands_where_a_lock_should_be_is_named_and_stays(store: Store, put: Callable[[Path], None]) -> None:
    lock = store.root / "locks" / f"{RECIPE.folder}.lock"
    put(lock)
    place = lock.parent if put is file_above else lock
    kind = stat.S_IFMT(place.lstat().st_mode)
    with pytest.raises(BadInput, match="where the lock") as caught:
        store.build(RECIPE, make_table)
    assert str(place) in caught.value.where
    assert "move it away" in caught.value.do
    assert stat.S_IFMT(place.lstat().st_mode) == kind
    place.rmdir() if put is folder_at else place.unlink()
    assert store.build(RECIPE, make_table).read_table().equals(TABLE)


@pytest.mark.parametrize("name", ["partial", "damaged", RECIPE.stage])
def test_a_file_where_a_folder_of_the_store_should_be_is_named_and_stays(store: Store, name: str) -> None:
    if name == "damaged":
        flip(store.build(RECIPE, make_table).path / "data.parquet")
    store.root.mkdir(exist_ok=True)
    (store.root / name).write_text("mine")
    with pytest.raises(BadInput, match="stands in the store") as caught:
        store.build(RECIPE, make_table)
    assert str(store.root / name) in caught.value.where
    assert (store.root / name).read_text() == "mine"
    (store.root / name).unlink()
    assert store.build(RECIPE, make_table).read_table().equals(TABLE)


def test_unfinished_work_that_is_a_file_or_a_link_is_set_aside(store: Store, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "x").write_text("mine")
    work = store.root / "partial" / RECIPE.folder
    work.parent.mkdir(parents=True)
    for put in (lambda: work.write_text(""), lambda: work.symlink_to(tmp_path / "precious")):
        put()
        shutil.rmtree(store.build(RECIPE, make_table).path)
    assert (tmp_path / "precious" / "x").read_text() == "mine"
    assert len(list((store.root / "damaged").iterdir())) == 2


# gc beside a running command

RUN = """
import sys
from toy_jobs import diamond
from probe.engine.executor import make
from probe.store import Store
make([diamond(pause=float(sys.argv[2]))], Store(sys.argv[1]), workers=1)
open(f"{sys.argv[1]}/made", "w").close()
sys.stdin.readline()
"""
LOOK = """
import sys
from probe.store import Store
print(Store(sys.argv[1]).find(sys.argv[2]).stage, flush=True)
sys.stdin.readline()
"""


def started(program: str, *words: object) -> subprocess.Popen[str]:
    path = os.pathsep.join(p for p in sys.path if p)
    command = [sys.executable, "-c", program, *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=os.environ | {"PYTHONPATH": path})


def test_gc_leaves_what_a_running_command_reads_later(store: Store) -> None:
    """Called again and again while a diamond is made, whose base is read twice."""
    top = diamond(1.0)
    running, sweeps = started(RUN, store.root, 1.0), 0
    note = store.root / "partial" / top.needs[0].recipe.folder / MAKER
    while running.poll() is None and not (store.root / "made").exists():
        sweeps += note.exists()
        assert not [each for each in store.gc(set(), delete=True) if each.why != "damaged"]
    running.communicate("")
    assert running.returncode == 0
    assert sweeps
    assert store.get(top.recipe).file("data.txt").read_text() == "top(left(base()),right(base()))"
    assert len(store.gc(set(), delete=True)) == 4
    assert not leases.leased(store.root)


def test_a_lease_lasts_as_long_as_its_process(store: Store) -> None:
    kept, free = (store.build(Recipe(name, 1), make_table) for name in ("kept", "free"))
    reader = started(LOOK, store.root, kept.digest)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "kept\n"
    assert kept.digest in leases.leased(store.root)
    assert [each.path for each in store.gc(set(), delete=True)] == [free.path]
    reader.kill()
    reader.communicate()
    assert [each.path for each in store.gc(set(), delete=True)] == [kept.path]


def test_what_was_looked_at_since_it_was_listed_is_left(store: Store) -> None:
    read, other = (store.build(Recipe(name, 1), make_table) for name in ("read", "other"))
    listed = store.gc(set())
    assert len(listed) == 2
    reader = started(LOOK, store.root, read.digest)
    assert reader.communicate("")[0] == "read\n"  # it has ended: there is no lease any more
    assert [each.path for each in listed if gc.remove(store.root, each)] == [other.path]
    assert read.read_table().equals(TABLE)


def test_no_lease_begins_while_gc_takes_something_away(store: Store) -> None:
    made = store.build(RECIPE, make_table)
    with leases.alone(store.root):
        reader = started(LOOK, store.root, made.digest)
        with pytest.raises(subprocess.TimeoutExpired):
            reader.wait(timeout=3)
        assert made.digest not in leases.leased(store.root)
        shutil.rmtree(made.path)
    assert reader.stdout is not None
    assert reader.communicate("")[0] == ""  # it finds it gone
    assert reader.returncode != 0


def test_a_store_that_cannot_be_written_can_be_read(store: Store) -> None:
    made = store.build(RECIPE, make_table)
    for name in ("leases", "locks"):
        shutil.rmtree(store.root / name)
    (store.root / "leases").write_text("no folder")
    reader = started(LOOK, store.root, made.digest)
    assert reader.communicate("")[0] == "numbers\n"
    with exclusive(store.root / "locks" / "x.lock"):
        assert json.loads((made.path / "spec.json").read_bytes())["digest"] == made.digest
