"""Jobs on a Ray cluster and through submitit leave the pool's bytes; kills, errors and lost clusters are told."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grid_jobs
import pytest
from ray_head import Head, environment, ray_head, told
from s3_server import free_port, make_bucket, s3_server
from store_cases import tree
from toy_jobs import FILE, MAKER, MENDED, Toy, starts, toys
from typer.testing import CliRunner

from probe.cli import app
from probe.engine.executor import Executor, in_this_process, make
from probe.engine.grid.choose import place_named
from probe.engine.grid.made import not_in_store
from probe.engine.grid.ray_cluster import Ray, _connect, _imported
from probe.engine.grid.resources import Resources
from probe.engine.grid.slurm import Slurm
from probe.engine.grid.source import Source
from probe.engine.grid.worker import error_in, make_named
from probe.engine.job import Job
from probe.engine.listener import Listener
from probe.engine.plan import Plan, plan
from probe.engine.pool import Pool
from probe.engine.submit import TRIES, Outcome, submit
from probe.errors import BadInput, ProbeError
from probe.store import Store, Unreachable

pytestmark = pytest.mark.xdist_group("grid")
ROOT = Path(__file__).parents[1]
STUDY = Source("grid_jobs:quick")
PATHS = os.pathsep.join([str(Path(__file__).parent), str(ROOT), *(path for path in sys.path if path)])


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A store on S3, which workers that are started later reach."""
    with s3_server() as address:
        yield make_bucket(address, "grid")


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory, bucket: str) -> Iterator[Path]:
    """What workers inherit: where the tests are, how Ray is told to be, and copies of their own of what is on S3."""
    folder = tmp_path_factory.mktemp("ray")
    with told({"PYTHONPATH": PATHS, "PROBE_CACHE": str(folder / "workers")} | environment(folder)):
        yield folder


@pytest.fixture(scope="module")
def head(surroundings: Path) -> Iterator[Head]:
    """One cluster for all tests, of two workers, and the connection of this process to it."""
    with ray_head(surroundings) as started:
        ray = _imported()
        _connect(ray, Ray(STUDY, started.address))
        yield started
        ray.shutdown()


@pytest.fixture(params=["ray", "submitit"])
def elsewhere(request: pytest.FixtureRequest) -> Callable[[Source], Executor]:
    if request.param == "ray":
        address = request.getfixturevalue("head").address
        return lambda source: Ray(source, address)
    request.getfixturevalue("surroundings")
    return lambda source: Slurm(source, "local", 2)


class Heard(Listener):
    def __init__(self) -> None:
        self.done: list[str] = []

    def on_done(self, job: Job) -> None:
        self.done.append(job.label.removeprefix("toy "))


def names(missing: Plan) -> list[str]:
    return [job.name for job in missing.todo.values()]  # type: ignore[attr-defined]


def made(store: Store) -> dict[str, dict[str, bytes]]:
    """The files of what the store holds, by stage and digest."""
    return {f"{each.stage} {each.digest}": tree(store.find(each.digest).path) for each in store.artifacts()}


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The study made in this process."""
    store = Store(tmp_path_factory.mktemp("straight"))
    make(grid_jobs.quick(), store, executor=in_this_process)
    return made(store)


@pytest.mark.parametrize("on_s3", [False, True], ids=["folder", "s3"])
def test_a_study_leaves_the_same_bytes_wherever_it_is_made(
    tmp_path: Path,
    elsewhere: Callable[[Source], Executor],
    straight: dict[str, dict[str, bytes]],
    bucket: str,
    on_s3: bool,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """On S3 what workers read is brought to their own copies, and what they make is there for whoever asks."""
    address, heard, place = f"{bucket}/{request.node.callspec.id}", Heard(), elsewhere(STUDY)
    monkeypatch.setenv("PROBE_CACHE", str(tmp_path / "asks"))
    make(grid_jobs.quick(), Store(address if on_s3 else tmp_path), listener=heard, executor=place)
    monkeypatch.setenv("PROBE_CACHE", str(tmp_path / "reads"))
    store = Store(address if on_s3 else tmp_path)
    assert made(store) == straight
    assert len(straight) == 2 and len(heard.done) == 2
    assert plan(grid_jobs.quick(), store).todo == {}


@pytest.mark.parametrize("on_s3", [False, True], ids=["folder", "s3"])
def test_the_pool_leaves_them_too(
    tmp_path: Path, straight: dict[str, dict[str, bytes]], bucket: str, on_s3: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROBE_CACHE", str(tmp_path / "cache"))
    store = Store(f"{bucket}/pool" if on_s3 else tmp_path / "s")
    make(grid_jobs.quick(), store, executor=Pool(2))
    assert made(store) == straight


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path, elsewhere: Callable[[Source], Executor]) -> None:
    store, (top,) = Store(tmp_path), toys("twice")
    make([top], store, executor=elsewhere(Source("toy_jobs:toys", ("twice",))))
    assert store.get(top.recipe).file(FILE).read_text() == "top(hurt(),other())"
    assert starts(store, top.needs[0]) == 3


def test_a_worker_that_dies_each_time_is_an_error(tmp_path: Path, head: Head) -> None:
    """Ray tries again by itself; of other places see the verb, below."""
    store, (top,) = Store(tmp_path), toys("fatally")
    with pytest.raises(ProbeError, match=r"(?s)toy right failed.*terminated abruptly.*run the same command again"):
        make([top], store, executor=Ray(Source("toy_jobs:toys", ("fatally",)), head.address))
    assert starts(store, top.needs[1]) == TRIES
    assert names(plan([top], store)) == ["right", "top"]


def test_an_error_of_a_job_is_named_not_tried_again_and_the_rest_is_kept(
    tmp_path: Path, elsewhere: Callable[[Source], Executor]
) -> None:
    store, (top,), source = Store(tmp_path), toys("clearly"), Source("toy_jobs:toys", ("clearly",))
    with pytest.raises(BadInput, match=r"^toy right: no such thing \[here\]\n  -> look there$"):
        make([top], store, executor=elsewhere(source))
    assert starts(store, top.needs[1]) == 1
    assert names(plan([top], store)) in (["left", "right", "top"], ["right", "top"])
    (store.root / MENDED).touch()
    make([top], store, executor=in_this_process)
    assert store.get(top.recipe).file(FILE).read_text() == "top(left(base()),right(base()))"


def test_what_a_worker_says_of_an_error_is_the_error(tmp_path: Path) -> None:
    """Ours with its kind and its advice; any other with its name; what could not reach the store is raised there."""
    (job,) = toys("obscurely")
    about = ("toy_jobs:toys", ("obscurely",), job.recipe.digest, str(tmp_path))
    error = error_in(make_named(*about))
    assert str(error).startswith("failed: ValueError: a strange value [worker]")
    assert isinstance(error_in(make_named("grid_jobs:nothing", (), "0", str(tmp_path))), BadInput)
    with pytest.raises(Unreachable):
        make_named(*about[:3], f"http://127.0.0.1:{free_port()}/store")
    (tmp_path / MENDED).touch()
    assert error_in(make_named(*about)) is None and Store(tmp_path).holds(job.recipe)


def test_what_a_worker_made_in_another_store_is_not_done(tmp_path: Path) -> None:
    """A folder that only the worker's machine has: it says that the job is made, and it is not here."""
    here, there, job = Store(tmp_path / "here"), Store(tmp_path / "there"), Toy("base")
    make([job], there)
    error = not_in_store(job, here)
    assert error is not None and "every machine sees" in error.do
    assert not_in_store(job, there) is None


def test_a_worker_with_other_code_says_so() -> None:
    with pytest.raises(BadInput, match="knows no job 00000000") as caught:
        Source("toy_jobs:toys", ("diamond",)).job("0" * 64)
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


def test_a_job_that_no_node_can_hold_is_refused_at_once(tmp_path: Path, head: Head) -> None:
    place = Ray(STUDY, head.address, needs=lambda job: Resources(1, 2, 1e15))
    with pytest.raises(BadInput, match=r"2 GPU \(at most 0 GPU\), 1000000.0 GB"):
        make(grid_jobs.quick(), Store(tmp_path), executor=place)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ray://127.0.0.1:PORT", "cannot be reached"),
        ("ray://127.0.0.1", "is no address"),
        ("ray://:x", "is no address"),
        ("ray://no.such.host.invalid:10001", "cannot be reached"),
    ],
)
def test_a_cluster_that_does_not_answer_is_said_at_once(address: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        _connect(_imported(), Ray(STUDY, address.replace("PORT", str(free_port()))))


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


def test_what_slurm_is_asked_for_and_a_refusal_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sbatch` as it refuses a job; the script that it was given is kept."""
    (tmp_path / "sbatch").write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/script\necho "invalid partition" >&2\nexit 1\n')
    (tmp_path / "srun").touch()
    for name in ("sbatch", "srun"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    settings = (("partition", "gpu"), ("time", "90"), ("account", "me"))
    place = Slurm(STUDY, "slurm", needs=lambda job: Resources(2, 1, 7e9), settings=settings)
    with pytest.raises(BadInput, match=r"Slurm takes no job \[.*invalid partition"):
        make([Toy("base")], Store(tmp_path / "store"), executor=place)
    asked = {line.removeprefix("#SBATCH ") for line in (tmp_path / "script").read_text().splitlines()}
    wanted = {"--partition=gpu", "--account=me", "--time=90", "--cpus-per-task=2", "--gpus-per-node=1", "--mem=7GB"}
    assert wanted <= asked and "--job-name=probe-toy" in asked


def test_a_study_runs_on_ray_from_the_command_line(
    tmp_path: Path, surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a cluster that is started for it, and a store behind a URL; what it leaves is there for others."""
    url, command = f"file://{tmp_path}/shared", [sys.executable, "-c", "from probe.cli import main; main()"]
    words = ("run", "quick", "--on", "ray", "--workers", "1", "--store", url, "--figures", str(tmp_path / "figures"))
    here = os.environ | {"PROBE_PLUGINS": "grid_study", "MPLBACKEND": "agg", "PROBE_CACHE": str(tmp_path / "one")}
    done = subprocess.run([*command, *words], capture_output=True, text=True, cwd=tmp_path, env=here, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 jobs to make" in done.stderr
    monkeypatch.setenv("PROBE_CACHE", str(tmp_path / "two"))
    assert [each.read_table().num_rows for each in Store(url).artifacts("nothing")] == [0, 0]


def test_a_place_that_is_none_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["run", "tiny", "--on", "condor", "--dry", "--store", "store"])
    assert done.exit_code == 2 and "there is no place 'condor' to run on" in done.stderr
    assert not (tmp_path / "store").exists()


ASKS = """
import os, sys
from toy_jobs import toys
from probe.engine.executor import make
from probe.engine.grid.ray_cluster import Ray
from probe.engine.grid.source import Source
from probe.errors import ProbeError
from probe.store import Store

try:
    make(toys("slow"), Store(sys.argv[1]), executor=Ray(Source("toy_jobs:toys", ("slow",)), sys.argv[2]))
    print("made", flush=True)
except ProbeError as err:
    print(type(err).__name__, err, flush=True)
os._exit(0)  # a client whose cluster is gone may take its time
"""


def asks(store: Path, address: str, **environment: str) -> "subprocess.Popen[str]":
    """The same command each time, in a process of its own."""
    command, here = [sys.executable, "-c", ASKS, str(store), address], os.environ | environment
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=here)


def test_a_wrong_token_is_said_and_nothing_is_made(tmp_path: Path, head: Head) -> None:
    (tmp_path / "token").write_text("1" * 64)
    waits = {"RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S": "1", "RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S": "2"}
    told = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")} | waits
    with asks(tmp_path / "store", head.address, **told) as process:
        said, _ = process.communicate(timeout=120)
    assert said.startswith(f"BadInput the Ray cluster {head.address} cannot be reached")
    assert "the token (RAY_AUTH_TOKEN)" in said and Store(tmp_path / "store").artifacts() == []


def test_a_cluster_that_is_lost_is_said_and_with_its_head_back_the_same_command_goes_on(
    tmp_path: Path, head: Head, surroundings: Path
) -> None:
    """The last of this file: its head node is killed while a job of another process runs on it."""
    store, (top,) = Store(tmp_path), toys("slow")
    _imported().shutdown()  # of this process, while there is something to part from
    with asks(tmp_path, head.address) as process:
        note = store.root / "partial" / top.needs[1].recipe.folder / MAKER
        while not (note.exists() and store.holds(top.needs[0].recipe)) and process.poll() is None:
            time.sleep(0.05)
        head.kill()
        said, _ = process.communicate(timeout=120)
    assert said.startswith(f"ProbeError the Ray cluster {head.address} is lost")
    assert "run the same command again: finished work is kept" in said
    assert names(plan([top], store)) == ["slow", "top"]
    (store.root / MENDED).touch()  # nothing is slow any more
    port = int(head.address.rpartition(":")[2])
    with ray_head(surroundings, port), asks(tmp_path, head.address) as process:
        assert process.communicate(timeout=120)[0] == "made\n"
    assert store.get(top.recipe).file(FILE).read_text() == "top(first(),slow())"
    assert [starts(store, job) for job in (*top.needs, top)] == [1, 2, 1]
