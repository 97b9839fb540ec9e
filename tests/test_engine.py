"""The engine makes each job once, in order, through failures and kills, in the process it belongs in; and is heard."""

import contextlib
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_jobs import FILE, MENDED, Large, Toy, diamond, line, starts

from probe.engine import executor, submit
from probe.engine.executor import START, in_this_process, is_quick, make
from probe.engine.job import Job
from probe.engine.listener import SILENT, Listener, heard_by, report
from probe.engine.plan import Plan, all_behind, plan
from probe.engine.pool import Pool, make_one
from probe.errors import BadInput, ProbeError
from probe.rng import numpy_rng
from probe.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


class Heard(Listener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.planned: list[list[str]] = []
        self.done: list[str] = []
        self.parts: list[tuple[int, int, str]] = []

    def on_plan(self, plan: Plan) -> None:
        self.planned.append(names(plan))

    def on_done(self, job: Job) -> None:
        self.done.append(job.label.removeprefix("toy "))

    def on_part(self, done: int, of: int, unit: str) -> None:
        self.parts.append((done, of, unit))


def names(jobs: Any) -> list[str]:
    return [job.name for job in jobs.todo.values()]


def text(store: Store, job: Toy) -> str:
    return store.get(job.recipe).file(FILE).read_text()


def test_a_plan_goes_depth_first_and_lists_each_job_once(store: Store) -> None:
    top = diamond()
    found = plan([top.needs[1], Toy("alone"), top], store)
    assert names(found) == ["base", "right", "alone", "left", "top"]
    assert (found.found, plan([], store).todo) == (0, {})


def test_a_plan_leaves_out_what_is_made_and_all_behind_it(store: Store) -> None:
    top = diamond()
    left, right = top.needs
    make_one(left.needs[0], str(store.root))
    found = plan([top], store)
    assert (names(found), found.found) == (["left", "right", "top"], 1)
    for job in (left, right, top):
        make_one(job, str(store.root))
    assert names(plan([top], store)) == []
    (store.get(left.recipe).path / FILE).write_text("spoilt")
    assert names(plan([top], store)) == []  # whole: what it was made from no longer matters
    assert names(plan([top, left], store)) == ["left"]
    (store.get(top.recipe).path / FILE).write_text("spoilt")
    assert names(plan([top], store)) == ["left", "top"]


def test_a_job_waits_for_what_it_needs_and_no_longer(store: Store) -> None:
    base, left, right, top = plan([diamond()], store).todo.values()

    def ready(waiting: tuple[Job, ...], running: tuple[Job, ...], slots: int = 9) -> list[Job]:
        return list(submit.ready({job.recipe.digest: job for job in waiting}, running, slots))

    assert ready((base, left, right, top), ()) == [base]
    assert ready((left, right, top), (base,)) == []
    assert ready((left, right, top), ()) == [left, right]
    assert ready((left, right, top), (), slots=1) == [left]
    assert ready((right, top), (left,)) == [right]
    assert ready((top,), (right,)) == []
    assert ready((top,), ()) == [top]


def test_a_failure_is_named_and_the_rest_is_kept(store: Store) -> None:
    top, heard = diamond(fails="clearly"), Heard()
    with pytest.raises(BadInput) as caught:
        Pool(1)(plan([top], store), store, heard)
    assert str(caught.value) == "toy right: no such thing [here]\n  -> look there"
    assert heard.done == ["base", "left"]
    assert names(plan([top], store)) == ["right", "top"]
    (store.root / MENDED).touch()
    for job in plan([top], store).todo.values():
        make_one(job, str(store.root))
    assert text(store, top) == "top(left(base()),right(base()))"


def test_a_worker_that_is_killed_is_reported_and_the_rest_is_kept(store: Store) -> None:
    top = diamond(fails="fatally")
    with pytest.raises(ProbeError, match=r"(?s)toy right failed.*terminated abruptly.*run the same command again"):
        Pool(1)(plan([top], store), store, SILENT)
    assert names(plan([top], store)) == ["right", "top"]
    assert starts(store, top.needs[1]) == submit.TRIES


def test_a_worker_that_is_killed_is_replaced_and_no_other_is_disturbed(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    hurt, long = Toy("hurt", fails="twice"), Toy("long", pause=5.0)
    top, heard = Toy("top", (hurt, long)), Heard()
    Pool(2)(plan([top], store), store, heard)
    assert text(store, top) == "top(hurt(),long())"
    assert [starts(store, job) for job in (hurt, long, top)] == [3, 1, 1]
    assert sorted(heard.done) == ["hurt", "long", "top"]
    assert [record.args[0] for record in caplog.records if "was killed" in record.getMessage()] == ["toy hurt"] * 2  # type: ignore[index]


def test_an_obscure_error_is_named_with_its_job() -> None:
    with pytest.raises(ProbeError, match=r"base failed: ValueError: a strange value \[toy [0-9a-f]{12}\]") as caught:
        submit.check(submit.Outcome(ValueError("a strange value")), Toy("base"))
    assert isinstance(caught.value.__cause__, ValueError)


def test_errors_survive_the_way_from_a_worker() -> None:
    for error in (BadInput("what", where="where", do="do"), ProbeError("what")):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - as the pool sends it
        assert (type(again), str(again), again.do) == (type(error), str(error), error.do)


def test_an_empty_plan_starts_no_process(store: Store) -> None:
    Pool(10**6)(plan([], store), store, SILENT)
    assert make([], store, workers=10**6).todo == {}
    assert not store.root.exists()


TWO_RUNNERS = """
import os, signal, sys, time
from toy_jobs import MAKER, line
from probe.engine.listener import SILENT
from probe.engine.plan import plan
from probe.engine.pool import Pool
from probe.rng import numpy_rng
from probe.store import Store

store, (_, _, slow, _, last) = Store(sys.argv[1]), line(pause=2.0)

def runner():
    pid = os.fork()
    if pid == 0:
        try:
            Pool(1)(plan([last], store), store, SILENT)
        except BaseException as err:
            print(repr(err), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return pid

both, note = {runner(), runner()}, store.root / "partial" / slow.recipe.folder / MAKER
while not note.exists():
    time.sleep(0.01)
killed = int(note.read_text())
os.kill(killed, signal.SIGKILL)
(other,) = both - {killed}
print(os.waitpid(killed, 0)[1], os.waitpid(other, 0)[1])
"""


def test_of_two_runners_one_is_killed_and_the_other_ends_in_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL to a runner in the middle of a job ends its worker too; the other takes the job up and makes the rest."""
    here = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", TWO_RUNNERS, str(tmp_path / "killed")]
    said, errors = tmp_path / "said", tmp_path / "errors"
    with said.open("w") as out, errors.open("w") as err:  # a pipe would be held open by a worker that lives on
        subprocess.run(command, stdout=out, stderr=err, env=here, check=False, timeout=300)
    assert said.read_text() == "9 0\n", errors.read_text()
    killed, straight, (_, _, slow, _, last) = Store(tmp_path / "killed"), Store(tmp_path / "straight"), line()
    for job in plan([last], straight).todo.values():
        make_one(job, str(straight.root))
    assert text(killed, last) == text(straight, last) == "e(c(a(),b()),d())"
    made = [{p.relative_to(s.root): p.read_bytes() for p in s.root.rglob(FILE)} for s in (killed, straight)]
    assert made[0] == made[1]
    assert len(made[0]) == 5
    assert killed.get(slow.recipe).spec["resumed"]
    assert not list((killed.root / "partial").iterdir())


SLOW_TORCH = """
import os, time
with open(os.environ["IMPORTING"], "a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(600)
"""
RUNNER = """
import sys
from toy_jobs import Toy
from probe.engine.listener import SILENT
from probe.engine.plan import plan
from probe.engine.pool import Pool
from probe.rng import numpy_rng
from probe.store import Store

store = Store(sys.argv[1])
Pool(2)(plan([Toy("a"), Toy("b")], store), store, SILENT)
"""


def children(pid: int) -> set[int]:
    """Processes that it started and that live."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.add(int(stat.parent.name))
    return found


def lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def comes(true: Callable[[], bool]) -> bool:
    """Whether it becomes true before one loses patience."""
    end = time.monotonic() + 60
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("draw", [None, 0, 1, 2])
def test_workers_of_a_killed_runner_end_though_an_import_does_not(tmp_path: Path, draw: int | None) -> None:
    """Killed while both of its workers are in an import that takes ten minutes, or a little after they are started."""
    (tmp_path / "torch.py").write_text(SLOW_TORCH)
    path = os.pathsep.join([str(tmp_path), *(p for p in sys.path if p)])
    here = os.environ | {"PYTHONPATH": path, "IMPORTING": str(tmp_path / "importing")}
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, str(tmp_path / "store")], env=here)
    try:
        assert comes(lambda: len(children(runner.pid)) >= 2)
        if draw is None:
            assert comes(lambda: (tmp_path / "importing").exists() and len(children(runner.pid)) >= 3)
            assert comes(lambda: len((tmp_path / "importing").read_text().split()) == 2)
        else:
            time.sleep(float(numpy_rng("kill", draw).random()))
        workers = children(runner.pid)
    finally:
        runner.kill()
        runner.wait()
    assert comes(lambda: not any(lives(pid) for pid in workers))


def test_what_must_be_in_this_process_is_made_here_and_heard_with_all_that_it_needs(store: Store) -> None:
    """Whatever the number of workers, and though the plan would take long enough for a pool."""
    heard, target = Heard(), Large("last", (Large("first"), *(Toy(f"t{i}") for i in range(3))))
    made = make([target], store, workers=8, listener=heard)
    assert made.in_process
    assert heard.planned == [["first", "t0", "t1", "t2", "last"]]
    assert heard.done == ["first", "t0", "t1", "t2", "last"]
    assert heard.parts == [(1, 2, "halves"), (2, 2, "halves")] * 2
    assert {text(store, job) for job in (target, target.needs[0])} == {str(os.getpid())}
    report(1, 1, "halves")  # nobody listens any more
    assert len(heard.parts) == 4


def test_who_makes_a_plan(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process where one job must be in it, one worker is asked for, or it takes seconds; else a pool."""
    small, large = plan([diamond()], store), plan([Large("x"), diamond()], store)
    assert is_quick(small, store)
    assert executor.chosen(small, store, 8) is in_this_process
    monkeypatch.setattr(Toy, "TYPICAL", {"": START})
    assert not is_quick(small, store)
    assert executor.chosen(small, store, 8) == Pool(8)
    assert executor.chosen(small, store, None) == Pool(os.cpu_count() or 1)
    assert executor.chosen(small, store, 1) is in_this_process
    assert executor.chosen(large, store, 8) is in_this_process


def test_a_pool_makes_what_is_made_here_and_is_heard(store: Store, tmp_path: Path) -> None:
    heard, here = Heard(), Store(tmp_path / "here")
    Pool(2)(plan([diamond()], store), store, heard)
    make([diamond()], here)
    assert text(store, diamond()) == text(here, diamond()) == "top(left(base()),right(base()))"
    assert sorted(heard.done) == ["base", "left", "right", "top"]
    assert (heard.done[0], heard.done[-1]) == ("base", "top")


def test_another_executor_is_given_the_plan_the_store_and_the_listener(store: Store) -> None:
    heard, given = Heard(), []
    missing = make([diamond()], store, listener=heard, executor=lambda *about: given.append(about))
    assert given == [(missing, store, heard)]
    assert heard.planned == [["base", "left", "right", "top"]]
    in_this_process(missing, store, heard)
    make([diamond()], store, listener=heard, executor=lambda *about: pytest.fail("all is there"))
    assert heard.planned[-1] == []


def stopped_in_between() -> None:
    report(2, 3, "parts")
    raise ValueError("stop")


def test_reports_reach_the_innermost_listener_and_no_longer() -> None:
    outer, inner = Heard(), Heard()
    with heard_by(outer.on_part):
        report(1, 3, "parts")
        with pytest.raises(ValueError, match="stop"), heard_by(inner.on_part):
            stopped_in_between()
        report(3, 3, "parts")
    report(9, 9, "parts")
    assert (outer.parts, inner.parts) == ([(1, 3, "parts"), (3, 3, "parts")], [(2, 3, "parts")])


def test_all_behind_is_made_or_not_and_each_once(store: Store) -> None:
    top = diamond()
    make_one(top.needs[0].needs[0], str(store.root))
    assert sorted(job.label for job in all_behind([top, top.needs[0]])) == [
        f"toy {n}" for n in ("base", "left", "right", "top")
    ]
