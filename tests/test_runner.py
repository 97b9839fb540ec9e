"""The runner makes each job once, in order, through failures and kills."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from probe.checkpoints.jobs import Job
from probe.engine.runner import make, plan, run_jobs
from toy_jobs import FILE, MENDED, Toy, diamond, line

from probe.engine import runner
from probe.errors import BadInput, ProbeError
from probe.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


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
    make(left.needs[0], str(store.root))
    found = plan([top], store)
    assert (names(found), found.found) == (["left", "right", "top"], 1)
    for job in (left, right, top):
        make(job, str(store.root))
    assert names(plan([top], store)) == []
    (store.get(left.recipe).path / FILE).write_text("spoilt")
    assert names(plan([top], store)) == []  # whole: what it was made from no longer matters
    assert names(plan([top, left], store)) == ["left"]
    (store.get(top.recipe).path / FILE).write_text("spoilt")
    assert names(plan([top], store)) == ["left", "top"]


def test_a_job_waits_for_what_it_needs_and_no_longer(store: Store) -> None:
    base, left, right, top = plan([diamond()], store).todo.values()

    def ready(waiting: tuple[Job, ...], running: tuple[Job, ...], slots: int = 9) -> list[Job]:
        futures = {Future[str](): job for job in running}
        return list(runner._ready({job.recipe.digest: job for job in waiting}, futures, slots))

    assert ready((base, left, right, top), ()) == [base]
    assert ready((left, right, top), (base,)) == []
    assert ready((left, right, top), ()) == [left, right]
    assert ready((left, right, top), (), slots=1) == [left]
    assert ready((right, top), (left,)) == [right]
    assert ready((top,), (right,)) == []
    assert ready((top,), ()) == [top]


def test_a_failure_is_named_and_the_rest_is_kept(store: Store) -> None:
    top, done = diamond(fails="clearly"), []
    with pytest.raises(BadInput) as caught:
        run_jobs(plan([top], store), store, workers=1, on_done=done.append)
    assert str(caught.value) == "toy right: no such thing [here]\n  -> look there"
    assert [job.name for job in done] == ["base", "left"]
    assert names(plan([top], store)) == ["right", "top"]
    (store.root / MENDED).touch()
    for job in plan([top], store).todo.values():
        make(job, str(store.root))
    assert text(store, top) == "top(left(base()),right(base()))"


def test_a_worker_that_is_killed_is_reported_and_the_rest_is_kept(store: Store) -> None:
    top = diamond(fails="fatally")
    with pytest.raises(ProbeError, match=r"(?s)toy right failed.*terminated abruptly.*run the same command again"):
        run_jobs(plan([top], store), store, workers=1)
    assert names(plan([top], store)) == ["right", "top"]


def test_an_obscure_error_is_named_with_its_job() -> None:
    future: Future[str] = Future()
    future.set_exception(ValueError("a strange value"))
    with pytest.raises(ProbeError, match=r"base failed: ValueError: a strange value \[toy [0-9a-f]{12}\]") as caught:
        runner._check(future, Toy("base"))
    assert isinstance(caught.value.__cause__, ValueError)


def test_errors_survive_the_way_from_a_worker() -> None:
    for error in (BadInput("what", where="where", do="do"), ProbeError("what")):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - as the pool sends it
        assert (type(again), str(again), again.do) == (type(error), str(error), error.do)


def test_an_empty_plan_starts_no_process(store: Store) -> None:
    run_jobs(plan([], store), store, workers=10**6)
    assert not store.root.exists()


TWO_RUNNERS = """
import os, signal, sys, time
from toy_jobs import MAKER, line
from probe.engine.runner import plan, run_jobs
from probe.store import Store

store, (_, _, slow, _, last) = Store(sys.argv[1]), line(pause=2.0)

def runner():
    pid = os.fork()
    if pid == 0:
        try:
            run_jobs(plan([last], store), store, workers=1)
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
        make(job, str(straight.root))
    assert text(killed, last) == text(straight, last) == "e(c(a(),b()),d())"
    made = [{p.relative_to(s.root): p.read_bytes() for p in s.root.rglob(FILE)} for s in (killed, straight)]
    assert made[0] == made[1]
    assert len(made[0]) == 5
    assert killed.get(slow.recipe).spec["resumed"]
    assert not list((killed.root / "partial").iterdir())
