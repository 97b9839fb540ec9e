"""A store on S3 that takes nothing, or nothing more, loses nothing: it is said, and the same command goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from s3_server import make_bucket, refusing, s3_server
from store_cases import RECIPE, TABLE, make_table, never, tree, two_parts
from toy_jobs import FILE, starts, toys

from probe.engine.executor import in_this_process, make
from probe.engine.plan import plan
from probe.errors import BadInput, ProbeError
from probe.store import DiskFull, Recipe, Store

pytestmark = pytest.mark.xdist_group("s3 refused")
READ_ONLY = (403, "AccessDenied", BadInput, "cannot be read, or not be written")
FULL = (
    (507, "XMinioStorageFull", DiskFull, "no space left in the store"),
    (403, "QuotaExceeded", DiskFull, "no space left in the store"),  # as Ceph says it
)
Machine = Callable[..., Store]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    return make_bucket(server, f"b{abs(hash(request.node.name)) % 10**12}")


@pytest.fixture
def machine(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The store as one machine sees it: each has copies of its own."""

    def of(name: str = "here") -> Store:
        monkeypatch.setenv("PROBE_CACHE", str(tmp_path / name))
        return Store(url)

    return of


@pytest.mark.parametrize("case", [READ_ONLY, *FULL], ids=lambda case: case[1])
def test_it_is_said_before_anything_is_made_and_what_is_there_is_read(
    server: str, machine: Machine, case: tuple[int, str, type[ProbeError], str]
) -> None:
    status, code, kind, said = case
    machine().build(RECIPE, make_table)
    with refusing(server, status, code):
        with pytest.raises(kind, match=said) as caught:
            machine("other").prepare()
        assert code in caught.value.where or "nothing is taken" in caught.value.where
        assert "run the same command again: what is finished is kept" in caught.value.do
        other = machine("other")
        assert other.holds(RECIPE) and other.get(RECIPE).read_table().equals(TABLE)
        assert [each.stage for each in other.artifacts()] == ["numbers"]
    machine("other").prepare()


@pytest.mark.parametrize("after", range(3))
@pytest.mark.parametrize("case", [READ_ONLY, FULL[0]], ids=lambda case: case[1])
def test_what_is_made_is_kept_here_and_put_there_the_next_time(
    server: str, machine: Machine, case: tuple[int, str, type[ProbeError], str], after: int
) -> None:
    """Refused at its first file, at its second, at the marker: others see all of it or nothing."""
    status, code, kind, said = case
    machine().build(Recipe("before", 1), make_table)
    with refusing(server, status, code, after=after), pytest.raises(kind, match=said):
        machine().build(RECIPE, two_parts)
    assert not machine("other").holds(RECIPE) and [each.stage for each in machine("third").artifacts()] == ["before"]
    made = machine().build(RECIPE, never)
    assert tree(made.path) == tree(machine("other").get(RECIPE).path) == {"a": b"a" * 100, "b": b"a" * 100 + b"b"}


def test_a_study_stops_and_the_same_command_goes_on(server: str, machine: Machine) -> None:
    """The store is full after two of four jobs: none is made twice."""
    (top,) = toys("diamond")
    with refusing(server, 507, "XMinioStorageFull", after=5), pytest.raises(DiskFull, match="no space left"):
        make([top], machine(), executor=in_this_process)
    left = [job.name for job in plan([top], machine("other")).todo.values()]  # type: ignore[attr-defined]
    assert len(left) == 2 and "base" not in left
    make([top], machine(), executor=in_this_process)
    assert machine("other").get(top.recipe).file(FILE).read_text() == "top(left(base()),right(base()))"
    assert [starts(machine(), job) for job in (top, *top.needs, top.needs[0].needs[0])] == [1, 1, 1, 1]


WRITER = """
import sys
from probe.store import Recipe, Store, write_atomic

store, name = Store(sys.argv[1]), sys.argv[2]
for i in range(6):
    part = Recipe("part", 1, {"i": i if i % 2 else f"{name} {i}"})  # every other one is made by all
    store.build(part, lambda work: write_atomic(work / "x", b"%d" % i * 1000))
    whole = Recipe("whole", 1, {}, (part.digest,))
    store.build(whole, lambda work: write_atomic(work / "y", store.get(part).file("x").read_bytes()))
    print(i, flush=True)
"""


def test_two_machines_of_two_writers_one_of_them_killed_lose_nothing(
    url: str, machine: Machine, tmp_path: Path
) -> None:
    def writer(name: str) -> "subprocess.Popen[str]":
        """The first letter of its name is its machine."""
        here = os.environ | {"PROBE_CACHE": str(tmp_path / name[0])}
        return subprocess.Popen([sys.executable, "-c", WRITER, url, name], env=here, stdout=subprocess.PIPE, text=True)

    writers = [writer(name) for name in ("a1", "a2", "b1", "b2")]
    killed = writers[1]
    assert killed.stdout is not None and killed.stdout.readline() == "0\n"
    killed.kill()
    ends = [each.communicate(timeout=100)[0].count("\n") for each in writers]
    assert killed.returncode == -signal.SIGKILL and ends[1] < 5 and [ends[0], *ends[2:]] == [6, 6, 6]
    assert writer("a2").communicate(timeout=100)[0].count("\n") == 6
    reader = machine("reader")
    held = reader.artifacts()
    assert [each.stage for each in held] == ["part"] * (3 + 4 * 3) + ["whole"] * (3 + 4 * 3)
    contents = [reader.find(each.digest).file("y").read_bytes() for each in held if each.stage == "whole"]
    assert sorted(contents) == sorted(b"%d" % i * 1000 for i in range(6) for _ in range(1 if i % 2 else 4))
