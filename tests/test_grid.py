"""Jobs on a Ray cluster and through submitit leave the pool's bytes; kills, errors and lost clusters are told."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grid_jobs
import pytest
from s3_server import free_port, make_bucket, s3_server
from store_cases import tree
from toy_jobs import FILE, MENDED, Toy, starts

from probe.engine.executor import Executor, in_this_process, make
from probe.engine.grid.choose import place_named
from probe.engine.grid.made import not_in_store
from probe.engine.grid.ray_cluster import Ray
from probe.engine.grid.resources import Resources
from probe.engine.grid.slurm import Slurm
from probe.engine.grid.source import Source
from probe.engine.job import Job
from probe.engine.listener import Listener
from probe.engine.plan import plan
from probe.engine.pool import Pool
from probe.engine.submit import TRIES, Outcome, submit
from probe.errors import BadInput, ProbeError
from probe.store import Store

pytestmark = pytest.mark.xdist_group("grid")
ROOT = Path(__file__).parents[1]
STUDY = Source("grid_jobs:quick")
PATHS = os.pathsep.join([str(Path(__file__).parent), str(ROOT), *(path for path in sys.path if path)])


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What workers inherit: where the tests are, and a token of the cluster that is not written into anyone's home."""
    token = tmp_path_factory.mktemp("ray") / "token"
    token.write_text("0" * 64)
    told = {"PYTHONPATH": PATHS, "RAY_AUTH_TOKEN_PATH": str(token), "RAY_memory_monitor_refresh_ms": "0"}
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    yield
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(scope="module")
def ray_cluster(surroundings: None) -> Iterator[None]:
    """One cluster for all tests, of two workers."""
    from probe.engine.grid.ray_cluster import _connect, _imported

    ray = _imported()
    _connect(ray, Ray(STUDY, size=2))
    yield
    ray.shutdown()


@pytest.fixture(params=["ray", "submitit"])
def elsewhere(request: pytest.FixtureRequest) -> Callable[[Source], Executor]:
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
        return lambda source: Ray(source, size=2)
    request.getfixturevalue("surroundings")
    return lambda source: Slurm(source, "local", 2)


class Heard(Listener):
    def __init__(self) -> None:
        self.done: list[str] = []

    def on_done(self, job: Job) -> None:
        self.done.append(job.label.removeprefix("toy "))


def made(store: Store, jobs: list[Job]) -> dict[str, dict[str, bytes]]:
    """The files of what the store holds, by stage and digest."""
    return {f"{each.stage} {each.digest}": tree(store.find(each.digest).path) for each in store.artifacts()}


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The study made in this process."""
    store = Store(tmp_path_factory.mktemp("straight"))
    make(grid_jobs.quick(), store, executor=in_this_process)
    return made(store, grid_jobs.quick())


def test_a_study_leaves_the_same_bytes_wherever_it_is_made(
    tmp_path: Path, elsewhere: Callable[[Source], Executor], straight: dict[str, dict[str, bytes]]
) -> None:
    store, heard = Store(tmp_path), Heard()
    make(grid_jobs.quick(), store, listener=heard, executor=elsewhere(STUDY))
    assert made(store, grid_jobs.quick()) == straight
    assert len(straight) == 4 and len(heard.done) == 4
    assert plan(grid_jobs.quick(), store).todo == {}


def test_the_pool_leaves_them_too(tmp_path: Path, straight: dict[str, dict[str, bytes]]) -> None:
    make(grid_jobs.quick(), store := Store(tmp_path), executor=Pool(2))
    assert made(store, grid_jobs.quick()) == straight


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path, elsewhere: Callable[[Source], Executor]) -> None:
    store, (top,) = Store(tmp_path), grid_jobs.toys("twice")
    make([top], store, executor=elsewhere(Source("grid_jobs:toys", ("twice",))))
    assert store.get(top.recipe).file(FILE).read_text() == "top(hurt(),other())"
    assert starts(store, top.needs[0]) == 3


def test_a_worker_that_dies_each_time_is_an_error(tmp_path: Path, elsewhere: Callable[[Source], Executor]) -> None:
    store, (top,) = Store(tmp_path), grid_jobs.toys("fatally")
    with pytest.raises(ProbeError, match=r"(?s)toy right failed.*terminated abruptly.*run the same command again"):
        make([top], store, executor=elsewhere(Source("grid_jobs:toys", ("fatally",))))
    assert starts(store, top.needs[1]) == TRIES
    assert [job.name for job in plan([top], store).todo.values()] == ["right", "top"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ("clearly", BadInput, r"^toy right: no such thing \[here\]\n  -> look there$"),
        ("obscurely", ProbeError, r"toy right: failed: ValueError: a strange value"),
    ],
)
def test_an_error_of_a_job_is_named_not_tried_again_and_the_rest_is_kept(
    tmp_path: Path, elsewhere: Callable[[Source], Executor], how: str, kind: type[ProbeError], said: str
) -> None:
    store, (top,) = Store(tmp_path), grid_jobs.toys(how)
    source = Source("grid_jobs:toys", (how,))
    with pytest.raises(kind, match=said):
        make([top], store, executor=elsewhere(source))
    assert starts(store, top.needs[1]) == 1
    assert "right" in [job.name for job in plan([top], store).todo.values()]  # type: ignore[attr-defined]
    (store.root / MENDED).touch()
    make([top], store, executor=elsewhere(source))
    assert store.get(top.recipe).file(FILE).read_text() == "top(left(base()),right(base()))"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_server() as address:
        yield make_bucket(address, "grid")


def test_workers_with_copies_of_their_own_share_a_store_on_s3(
    tmp_path: Path,
    surroundings: None,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    straight: dict[str, dict[str, bytes]],
) -> None:
    monkeypatch.setenv("PROBE_CACHE", str(tmp_path / "workers"))
    make(grid_jobs.quick(), Store(bucket), executor=Slurm(STUDY, "local", 2))
    monkeypatch.setenv("PROBE_CACHE", str(tmp_path / "reader"))
    assert made(Store(bucket), grid_jobs.quick()) == straight


def test_what_a_worker_made_in_another_store_is_not_done(tmp_path: Path) -> None:
    """A folder that only the worker's machine has: it says that the job is made, and it is not here."""
    here, there, job = Store(tmp_path / "here"), Store(tmp_path / "there"), Toy("base")
    make([job], there)
    error = not_in_store(job, here)
    assert error is not None and "every machine sees" in error.do
    assert not_in_store(job, there) is None


def test_a_worker_with_other_code_says_so() -> None:
    with pytest.raises(BadInput, match="knows no job 00000000") as caught:
        Source("grid_jobs:toys", ("diamond",)).job("0" * 64)
    assert "same commit" in caught.value.do
    for function in ("no_such_module:jobs", "grid_jobs:nothing", "grid_jobs"):
        with pytest.raises(BadInput, match="on this machine"):
            Source(function).job("0" * 64)


class Flaky:
    """A place whose workers die as often as it is told, in this process."""

    def __init__(self, deaths: int) -> None:
        self.deaths, self.size, self.started = deaths, 1, list[str]()

    @contextlib.contextmanager
    def workers(self, store: Store) -> Iterator["Flaky"]:
        yield self

    def start(self, job: Job) -> None:
        self.started.append(job.recipe.digest)

    def ended(self) -> list[tuple[str, Outcome]]:
        self.deaths -= 1
        died = self.deaths >= 0
        return [(self.started[-1], Outcome(RuntimeError("gone") if died else None, died, again=died))]


@pytest.mark.parametrize("deaths", [0, 1, TRIES - 1, TRIES])
def test_the_verb_tries_what_died_again_and_says_how_each_ended(tmp_path: Path, deaths: int) -> None:
    job, place = Toy("base"), Flaky(deaths)
    ((digest, outcome),) = submit([job], Store(tmp_path), place)
    assert (digest, outcome.died) == (job.recipe.digest, deaths == TRIES)
    assert len(place.started) == min(deaths + 1, TRIES)


def test_a_job_that_no_node_can_hold_is_refused_at_once(tmp_path: Path, ray_cluster: None) -> None:
    place = Ray(STUDY, needs=lambda job: Resources(1, 2, 1e15))
    with pytest.raises(BadInput, match=r"2 GPU \(at most 0 GPU\), 1000000.0 GB"):
        make(grid_jobs.quick(), Store(tmp_path), executor=place)


@pytest.mark.parametrize("address", ["ray://127.0.0.1:PORT", "ray://127.0.0.1", "ray://:x"])
def test_a_cluster_that_does_not_answer_is_said_at_once(tmp_path: Path, address: str) -> None:
    """In a process of its own, which has no cluster."""
    place = address.replace("PORT", str(free_port()))
    done = probe(tmp_path, "run", "quick", "--on", place, "--store", tmp_path / "store")
    assert done.returncode == 2, done.stderr
    assert f"error: the Ray cluster {place} cannot be reached" in done.stderr or "is no address" in done.stderr


PLACES = {
    "pool": None,
    "ray": Ray(STUDY, "ray", 3),
    "ray://head:10001": Ray(STUDY, "ray://head:10001", 3),
    "slurm": Slurm(STUDY, "slurm", 3),
    "slurm:partition=gpu,time=240": Slurm(STUDY, "slurm", 3, settings=(("partition", "gpu"), ("time", "240"))),
    "submitit-local": Slurm(STUDY, "local", 3),
}


@pytest.mark.parametrize("on", PLACES)
def test_places_by_name(on: str) -> None:
    assert place_named(on, STUDY, workers=3) == PLACES[on]


@pytest.mark.parametrize(
    ("on", "do"), [("rey", "'ray'"), ("slurm://x", "'slurm'"), ("", "known: pool"), ("slurm:gpu", "partition=gpu")]
)
def test_an_unknown_place_has_the_nearest_names(on: str, do: str) -> None:
    with pytest.raises(BadInput) as caught:
        place_named(on, STUDY)
    assert do in caught.value.do


@pytest.mark.parametrize(("package", "place"), [("ray", "ray"), ("submitit", "slurm")])
def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, place: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    executor = place_named(place, STUDY)
    assert executor is not None
    with pytest.raises(BadInput) as caught:
        make([Toy("base")], Store(tmp_path), executor=executor)
    assert caught.value.do == f"pip install 'rlvr-probe[{place}]'"


def test_without_slurm_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="no Slurm on this machine"):
        make([Toy("base")], Store(tmp_path), executor=Slurm(STUDY, "slurm"))


def probe(place: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from probe.cli import main; main()", *map(str, words)]
    here = {"PYTHONPATH": PATHS, "PROBE_PLUGINS": "grid_jobs", "MPLBACKEND": "agg"}
    return subprocess.run(command, capture_output=True, text=True, cwd=place, env=os.environ | here, check=False)
