"""The store keeps its word when artifacts are damaged, processes are killed or race, and the disk is full."""

import errno
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from store_cases import RECIPE, TABLE, die_at, flip, make_table, never, slow, tree, two_parts, wait_for_making

from probe.store import Damaged, DiskFull, Recipe, Store, write_atomic
from probe.store.locks import exclusive


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "bit flipped": lambda path: flip(path / "data.parquet"),
    "truncated": lambda path: os.truncate(path / "data.parquet", 10),
    "empty": lambda path: os.truncate(path / "data.parquet", 0),
    "file missing": lambda path: (path / "data.parquet").unlink(),
    "file is a folder": lambda path: replace_by_folder(path / "data.parquet"),
    "spec missing": lambda path: (path / "spec.json").unlink(),
    "spec truncated": lambda path: os.truncate(path / "spec.json", 40),
    "spec is a list": lambda path: (path / "spec.json").write_text("[]"),
    "spec is binary": lambda path: (path / "spec.json").write_bytes(b"\xff\xfe\x00"),
    "spec edited": lambda path: (path / "spec.json").write_text(
        (path / "spec.json").read_text().replace('"seed": 0', '"seed": 1')
    ),
    "circumstances edited": lambda path: (path / "spec.json").write_text(
        (path / "spec.json").read_text().replace('"cpu"', '"gpu"')
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_set_aside_and_made_again(store: Store, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    artifact = store.build(RECIPE, make_table)
    DAMAGE[kind](artifact.path)
    with pytest.raises(Damaged, match="damaged artifact"):
        store.find(RECIPE.digest)
    with caplog.at_level(logging.WARNING):
        mended = store.build(RECIPE, make_table)
    assert "damaged artifact" in caplog.text and "set aside" in caplog.text
    assert mended.read_table().equals(TABLE)
    assert [path.name for path in (store.root / "damaged").iterdir()] == [f"{RECIPE.folder}.0"]
    store.build(RECIPE, never)


def test_damage_under_an_open_artifact_is_never_read(store: Store) -> None:
    artifact = store.build(RECIPE, make_table)
    assert artifact.read_table().equals(TABLE)
    flip(artifact.path / "data.parquet")
    with pytest.raises(Damaged, match="sha256 of data.parquet has changed"):
        artifact.read_table()


def test_repeated_damage_keeps_every_copy(store: Store) -> None:
    for _ in range(3):
        flip(store.build(RECIPE, make_table).path / "data.parquet")
    store.build(RECIPE, make_table)
    assert len(list((store.root / "damaged").iterdir())) == 3


def test_kills_at_many_moments_end_in_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL at another moment of make each time, then once in peace; whatever is in place meanwhile is whole."""
    assert slow(tmp_path / "calm").communicate(timeout=30)[0] == "making\ndone\n"
    killed, stormy = 0, Store(tmp_path / "stormy")
    for delay in (0.0, 0.01, 0.03, 0.06, 0.1):
        process = slow(stormy.root, pause=0.04)
        time.sleep(delay + 0.15)
        process.kill()
        process.communicate(timeout=30)
        killed += process.returncode == -signal.SIGKILL
        assert all(stormy.find(each.digest) for each in stormy.artifacts())
    assert slow(stormy.root).communicate(timeout=30)[0].endswith("done\n")
    assert killed >= 1 and not list((stormy.root / "partial").iterdir())
    assert tree(stormy.root / "slow") == tree(tmp_path / "calm" / "slow") != {}


def build_and_die(root: Path, at: int) -> None:
    """In a child: kill this process at its `at`-th system call that changes or syncs a file."""
    die_at(at, ("fsync", "replace", "unlink", "rmdir", "mkdir", "open"))
    Store(root).build(RECIPE, two_parts)
    os._exit(0)


def test_a_kill_at_every_single_step_loses_nothing(tmp_path: Path) -> None:
    """Exhaustive: for every file-system call of a build, die just before it, then build again in peace."""
    fork = multiprocessing.get_context("fork")
    for at in range(500):
        root = tmp_path / str(at)
        child = fork.Process(target=build_and_die, args=(root, at))
        child.start()
        child.join(timeout=20)
        artifact = Store(root).build(RECIPE, two_parts)
        assert tree(artifact.path) == {"a": b"a" * 100, "b": b"a" * 100 + b"b"}
        assert not list((root / "partial").iterdir()) and not (root / "damaged").exists()
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
    assert at > 15  # it did die at that many places, and got through in the end


def test_several_writers_make_once(tmp_path: Path) -> None:
    processes = [slow(tmp_path, pause=0.02) for _ in range(3)]
    said = [process.communicate(timeout=30)[0].split() for process in processes]
    assert sorted(said) == [["done"], ["done"], ["making", "done"]]
    assert len(tree(tmp_path / "slow")) == 20


def test_a_waiting_writer_takes_over_from_a_killed_one(tmp_path: Path) -> None:
    first = slow(tmp_path, gate=True)
    wait_for_making(first)
    second = slow(tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(timeout=0.5)
    first.kill()
    first.communicate(timeout=30)
    assert second.communicate(timeout=30)[0].split() == ["making", "done"]
    assert len(tree(tmp_path / "slow")) == 20


def test_a_lock_is_on_the_file_that_others_see(tmp_path: Path) -> None:
    """A holder removes its lock file; a waiter that then held the removed file would exclude nobody who comes later."""
    path, seen = tmp_path / "x.lock", []

    def wait() -> None:
        with exclusive(path):
            seen.append(path.exists())

    waiters = [threading.Thread(target=wait) for _ in range(3)]
    with exclusive(path):
        for waiter in waiters:
            waiter.start()
        time.sleep(0.1)
        with exclusive(path, wait=False) as free:
            assert not free
    for waiter in waiters:
        waiter.join()
    assert seen == [True] * 3 and not path.exists()


def test_sealed_work_is_published_without_making_it_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the seal and the rename, when scratch (and with it the way to resume) may already be gone."""
    real = os.replace

    def dies(source: Path, target: Path) -> None:
        if Path(source).is_dir():
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        store.build(RECIPE, make_table)
    monkeypatch.setattr(os, "replace", real)
    assert store.artifacts() == []
    assert store.build(RECIPE, never).read_table().equals(TABLE)


def test_everything_is_on_the_disk_before_it_is_in_place(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut must not leave empty files in place: each file and folder is synced before the rename."""
    synced: set[int] = set()
    real_sync, real_replace = os.fsync, os.replace

    def sync(fd: int) -> None:
        synced.add(os.fstat(fd).st_ino)
        real_sync(fd)

    def replace(source: Path, target: Path) -> None:
        parts = [Path(source), *Path(source).rglob("*")]
        assert {each.stat().st_ino for each in parts} <= synced
        real_replace(source, target)

    def make(work: Path) -> None:
        (work / "deep").mkdir()
        (work / "deep" / "plain").write_bytes(b"written without care")

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    artifact = store.build(RECIPE, make)
    assert artifact.path.parent.stat().st_ino in synced


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_at_any_call_is_clear_and_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    """Fail the 1st, 2nd, ... call in turn: the other artifact stays, the error names the store, a retry ends well."""
    other = store.build(Recipe("other", 1), make_table)
    real, failed = getattr(os, call), 0
    for at in range(100):
        left = at

        def failing(*args: object, **kwargs: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(code, os.strerror(code))
            return real(*args, **kwargs)

        monkeypatch.setattr(os, call, failing)
        try:
            store.build(Recipe("big", 1, {"at": at}), two_parts)
            break
        except DiskFull as err:
            failed += 1
            assert str(store.root) in err.what and "free some space" in err.do and "probe gc" in err.do
        finally:
            monkeypatch.setattr(os, call, real)
        assert other.read_table().equals(TABLE) and [each.stage for each in store.artifacts()].count("other") == 1
        assert set(tree(store.build(Recipe("big", 1, {"at": at}), two_parts).path)) == {"a", "b"}
    assert 0 < failed == at


def test_a_real_size_limit_is_a_full_disk(store: Store) -> None:
    """RLIMIT_FSIZE in a child stands for the quota: parquet, safetensors and plain writes all report it."""
    pytest.importorskip("safetensors")
    program = """
import resource, sys
import numpy as np, pyarrow as pa
from pathlib import Path
from safetensors.numpy import save_file
from probe.errors import ProbeError
from probe.store import Recipe, Store, write_atomic, write_table
noise = np.random.default_rng(0).random(5000)
makes = [
    lambda work: write_atomic(work / "x", bytes(20000)),
    lambda work: write_table(work / "data.parquet", pa.table({"x": noise})),
    lambda work: save_file({"x": noise}, work / "tensors.safetensors"),
    lambda work: (work / "plain").write_bytes(bytes(20000)),
]
resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
for i, make in enumerate(makes):
    try:
        Store(sys.argv[1]).build(Recipe("big", 1, {"i": i}), make)
    except ProbeError as err:
        print(type(err).__name__, sys.argv[1] in err.what)
"""
    command = [sys.executable, "-c", program, str(store.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["DiskFull True"] * 4
    assert store.artifacts() == []


def test_other_errors_of_make_pass_unchanged(store: Store) -> None:
    def make(work: Path) -> None:
        raise OSError(errno.ENOENT, "not there")

    with pytest.raises(FileNotFoundError):
        store.build(RECIPE, make)


def test_a_failed_atomic_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "figure.csv"
    write_atomic(path, b"old")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="no space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old" and [each.name for each in tmp_path.iterdir()] == ["figure.csv"]
