"""A store behind a URL keeps the store's word: on a folder that others see, in memory, on an S3-compatible server."""

import errno
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from s3_server import free_port, make_bucket, s3_server
from store_cases import RECIPE, TABLE, die_at, flip, make_table, never, tree, two_parts

from probe.errors import BadInput, ProbeError
from probe.store import DiskFull, Recipe, Store, Unreachable, bucket, write_atomic
from probe.store.address import as_url, shown, without_secrets

pytestmark = pytest.mark.xdist_group("s3")
KINDS = ("file", "memory", "s3")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        name = f"b{abs(hash(request.node.name)) % 10**12}"
        return make_bucket(request.getfixturevalue("server"), name)
    return f"file://{tmp_path}/shared" if request.param == "file" else f"memory://{tmp_path.name}"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Store]:
    """The store as one machine sees it: each has copies of its own."""

    def of(url: str, name: str = "here") -> Store:
        monkeypatch.setenv("PROBE_CACHE", str(tmp_path / "machines" / name))
        return Store(url)

    return of


Machine = Callable[..., Store]


def objects(url: str) -> dict[str, bytes]:
    """Every file there, by its name below the URL."""
    fs, base = fsspec.core.url_to_fs(url, use_listings_cache=False)
    return {path[len(base) + 1 :]: fs.cat_file(path) for path in fs.find(base)}


def put(url: str, name: str, data: bytes) -> None:
    fs, base = fsspec.core.url_to_fs(url, use_listings_cache=False)
    fs.pipe_file(f"{base}/{name}", data)


def test_what_one_machine_makes_another_reads_and_does_not_make_again(url: str, machine: Machine) -> None:
    here, there = machine(url, "here"), machine(url, "there")
    assert not here.holds(RECIPE) and not there.holds(RECIPE)
    made = here.build(RECIPE, make_table)
    assert made.path.is_relative_to(here.root) and here.root != there.root
    assert here.holds(RECIPE) and there.holds(RECIPE, fresh=True)
    assert there.build(RECIPE, never).read_table().equals(TABLE)
    third = machine(url, "third")
    assert third.holds(RECIPE) and third.get(RECIPE).read_table().equals(TABLE)
    assert tree(made.path) == tree(there.get(RECIPE).path) == tree(third.get(RECIPE).path) != {}
    assert third.find(RECIPE.digest[:8]).digest == RECIPE.digest
    child = Recipe("child", 1, {}, (RECIPE.digest,))
    third.build(child, two_parts)
    lineage = machine(url, "fourth").why(child.digest)
    assert [node.name for node in lineage.inputs] == [RECIPE.digest] and lineage.inputs[0].kind == "artifact"


def test_files_are_named_by_content_and_the_marker_says_what_belongs(url: str, machine: Machine) -> None:
    made = machine(url).build(RECIPE, two_parts)
    folder, files = f"{RECIPE.stage}/{RECIPE.digest[:16]}", made.spec["files"]
    there = objects(url)
    assert set(there) == {f"{folder}/spec.json", *(f"{folder}/{files[n]['sha256'][:16]}/{n}" for n in ("a", "b"))}
    assert json.loads(there[f"{folder}/spec.json"]) == made.spec
    assert there[f"{folder}/{files['a']['sha256'][:16]}/a"] == b"a" * 100


def test_artifacts_are_listed_and_their_files_come_when_they_are_read(url: str, machine: Machine) -> None:
    machine(url).build(RECIPE, make_table)
    machine(url).build(Recipe("other", 1), two_parts)
    fresh = machine(url, "fresh")
    listed = fresh.artifacts()
    assert [each.stage for each in listed] == ["numbers", "other"]
    assert [each.stage for each in fresh.artifacts("other")] == ["other"]
    assert not listed[0].path.exists()
    assert listed[0].read_table().equals(TABLE) and listed[0].path.exists()


DAMAGE = ("bit flipped", "truncated", "file missing", "marker is no JSON", "marker edited")


def damage(url: str, kind: str) -> None:
    fs, base = fsspec.core.url_to_fs(url, use_listings_cache=False)
    (marker,) = (name for name in objects(url) if name.endswith("spec.json"))
    (file,) = (name for name in objects(url) if name.endswith("data.parquet"))
    data, spec = objects(url)[file], objects(url)[marker]
    if kind == "bit flipped":
        put(url, file, data[:50] + bytes([data[50] ^ 1]) + data[51:])
    elif kind == "truncated":
        put(url, file, data[:50])
    elif kind == "file missing":
        fs.rm_file(f"{base}/{file}")
    else:
        put(url, marker, b"{" if kind == "marker is no JSON" else spec.replace(b'"seed": 0', b'"seed": 1'))


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_never_read_is_set_aside_and_made_again(
    url: str, machine: Machine, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    machine(url, "maker").build(RECIPE, make_table)
    damage(url, kind)
    other = machine(url, "other")
    assert other.holds(RECIPE) == (kind == "bit flipped")  # as long as before: seen when it is read
    with pytest.raises(BadInput, match=r"holds no whole numbers.*damaged artifact"):
        other.get(RECIPE)
    assert not list(other.root.rglob("data.parquet"))
    assert not other.holds(RECIPE, fresh=True)
    assert any(name.startswith("damaged/numbers-") for name in objects(url))
    assert other.build(RECIPE, make_table).read_table().equals(TABLE)
    assert machine(url, "third").get(RECIPE).read_table().equals(TABLE)


def test_a_damaged_copy_of_this_machine_is_brought_again(
    url: str, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    store = machine(url)
    artifact = store.build(RECIPE, make_table)
    flip(artifact.path / "data.parquet")
    with caplog.at_level(logging.WARNING):
        assert store.get(RECIPE).read_table().equals(TABLE)
    assert "brought again" in caplog.text
    assert len(list((store.root / "damaged").iterdir())) == 1


def test_of_two_machines_that_make_other_bytes_the_first_stands(url: str, machine: Machine) -> None:
    """Floating point differs between processors: the second takes over the first's files, and nothing is mixed."""
    first, second = machine(url, "first"), machine(url, "second")
    assert second.remote is not None
    create = second.remote.bucket.create

    def late(name: str, data: bytes) -> bool:
        """Its files are there, its marker is not, and the other machine's comes in between."""
        first.build(RECIPE, lambda work: write_atomic(work / "x", b"the first"))
        return create(name, data)

    second.remote.bucket.create = late  # type: ignore[method-assign]
    taken = second.build(RECIPE, lambda work: write_atomic(work / "x", b"the other"))
    assert taken.file("x").read_bytes() == b"the first"
    assert machine(url, "third").get(RECIPE).file("x").read_bytes() == b"the first"
    assert sum(b"the other" == data for data in objects(url).values()) == 1  # there, and of no marker


WRITER = """
import os, sys
from pathlib import Path
from probe.store import Recipe, Store, write_atomic

store, name = Store(sys.argv[1]), sys.argv[2]
for i in range(6):
    part = Recipe("part", 1, {"i": i if i % 2 else f"{name} {i}"})  # every other one is made by both
    store.build(part, lambda work: write_atomic(work / "x", b"%d" % i * 1000))
    whole = Recipe("whole", 1, {}, (part.digest,))
    store.build(whole, lambda work: write_atomic(work / "y", store.get(part).file("x").read_bytes()))
"""


@pytest.mark.parametrize("url", ["file"], indirect=True)
def test_two_machines_write_at_once_and_nothing_is_lost(url: str, machine: Machine, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, url]
    both = [
        subprocess.Popen([*command, name], env=os.environ | {"PROBE_CACHE": str(tmp_path / "machines" / name)})
        for name in ("one", "two")
    ]
    assert [each.wait(timeout=100) for each in both] == [0, 0]
    reader = machine(url, "reader")
    held = reader.artifacts()
    assert [each.stage for each in held] == ["part"] * 9 + ["whole"] * 9
    assert all(
        reader.find(each.digest).file(name).stat().st_size >= 1000 for each in held for name in each.spec["files"]
    )
    assert not any(name.startswith("damaged") for name in objects(url))


def build_and_die(url: str, at: int) -> None:
    die_at(at, ("fsync", "replace", "link", "unlink", "mkdir"))
    Store(url).build(RECIPE, two_parts)
    os._exit(0)


def test_a_kill_at_any_step_leaves_nothing_half(tmp_path: Path, machine: Machine) -> None:
    """For every fifth call of a build that changes the file system: what others see is absent or whole."""
    fork = multiprocessing.get_context("fork")
    for at in range(0, 300, 5):
        url = f"file://{tmp_path}/shared{at}"
        store = machine(url, f"killed{at}")
        child = fork.Process(target=build_and_die, args=(url, at))
        child.start()
        child.join(timeout=20)
        other = machine(url, f"other{at}")
        if other.holds(RECIPE):
            assert other.get(RECIPE).file("b").read_bytes() == b"a" * 100 + b"b"
        assert store.build(RECIPE, two_parts).file("b").read_bytes() == b"a" * 100 + b"b"
        assert other.get(RECIPE).file("a").read_bytes() == b"a" * 100
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
    assert at > 30


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_store_that_takes_nothing_loses_nothing(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Full, read-only or broken when the artifact is put there: it is kept here, and only put there the next time."""
    shared = tmp_path / "shared"
    store, real = machine(f"file://{shared}"), bucket._name_local
    store.build(Recipe("before", 1), make_table)

    def fails(place: Path, path: Path, replace: bool) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(bucket, "_name_local", fails)
    kind = {errno.ENOSPC: DiskFull, errno.EDQUOT: DiskFull, errno.EROFS: BadInput}.get(code, Unreachable)
    with pytest.raises(kind) as caught:
        store.build(RECIPE, make_table)
    assert str(shared) in caught.value.what and "run the same command again" in caught.value.do
    monkeypatch.setattr(bucket, "_name_local", real)
    assert not store.holds(RECIPE, fresh=True)
    assert not list(shared.rglob("*.tmp"))
    assert store.build(RECIPE, never).read_table().equals(TABLE)
    assert [each.stage for each in machine(f"file://{shared}", "other").artifacts()] == ["before", "numbers"]


def test_a_store_that_cannot_be_is_said_before_anything_is_made(
    server: str, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match=r"no such bucket or folder: s3://nowhere-here/x"):
        machine("s3://nowhere-here/x").prepare()
    (tmp_path / "file").write_text("a file")
    with pytest.raises(ProbeError, match=r"file/x"):
        machine(f"file://{tmp_path}/file/x").prepare()
    with pytest.raises(BadInput, match="cannot be a store"):
        machine("nosuch://somewhere").prepare()
    good = machine(f"file://{tmp_path}/new")
    good.prepare()
    assert not [path for path in (tmp_path / "new").rglob("*") if path.is_file()]


PROGRAM = """
import sys
from probe.errors import ProbeError
from probe.store import Recipe, Store
if sys.argv[1:] == ["without"]:
    sys.modules["s3fs"] = None
try:
    Store("s3://bucket/x").get(Recipe("x", 1))
except ProbeError as err:
    print(type(err).__name__, err.what, "|", err.do)
"""


def test_a_missing_package_says_which_extra_brings_it(tmp_path: Path) -> None:
    command, here = [sys.executable, "-c", PROGRAM, "without"], os.environ | {"PROBE_CACHE": str(tmp_path)}
    done = subprocess.run(command, env=here, capture_output=True, text=True, check=True)
    assert done.stdout == "BadInput what reads s3 URLs is not installed | pip install 'rlvr-probe[s3]'\n"


def test_a_server_that_is_gone_is_said(tmp_path: Path) -> None:
    """In a process of its own: the client keeps its connection to the server for as long as it lives."""
    here = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",
        "AWS_MAX_ATTEMPTS": "1",
        "PROBE_CACHE": str(tmp_path),
    }
    here |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=os.environ | here, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Unreachable the store s3://bucket/x cannot be reached | look whether it is up")


URLS = {
    "s3://bucket/prefix/": ("s3://bucket/prefix", "s3://bucket/prefix"),
    "s3:/bucket/prefix": ("s3://bucket/prefix", "s3://bucket/prefix"),
    "file:///shared/x": ("file:///shared/x", "file:///shared/x"),
    "file:/shared/x": ("file:///shared/x", "file:///shared/x"),
    "sftp://me:hunter2@host/x": ("sftp://me:hunter2@host/x", "sftp://me:***@host/x"),
    "abfs://c/x?sas=hunter2&v=1": ("abfs://c/x?sas=hunter2&v=1", "abfs://c/x?sas=***&v=***"),
}


@pytest.mark.parametrize("said", URLS)
def test_a_url_is_read_as_typed_or_as_a_path_and_shown_without_secrets(said: str) -> None:
    assert (as_url(said), shown(as_url(said) or "")) == URLS[said]
    assert as_url(str(Path(said))) == as_url(said)
    assert "hunter2" not in without_secrets(f"no route to {said}", said)


@pytest.mark.parametrize("folder", ["store", "/a/b", "./s3:x", "c:/x", ".probe", "~/x", "a:b"])
def test_a_folder_is_no_url(folder: str) -> None:
    assert as_url(folder) is None


def test_no_error_shows_a_password(machine: Machine) -> None:
    store = machine("http://me:hunter2@127.0.0.1:1/store?token=tok3n")
    with pytest.raises(ProbeError) as caught:
        store.get(RECIPE)
    assert caught.value.__cause__ is None
    assert not any(secret in f"{caught.value!r}{store.shown}" for secret in ("hunter2", "tok3n"))


def test_what_others_may_need_is_not_swept(url: str, machine: Machine) -> None:
    store = machine(url)
    store.build(RECIPE, make_table)
    with pytest.raises(BadInput, match="not swept from here"):
        store.gc(set(), delete=True)
    assert store.get(RECIPE).read_table().equals(TABLE)
    assert [each.why for each in Store(store.root).gc(set(), delete=True)] == ["unneeded"]  # copies of this machine
    assert store.get(RECIPE).read_table().equals(TABLE)
